"""Where lines, bars and boxes stand. Pure: values in, numbers and paths out; the templates write them as SVG
and escape what people wrote.
"""
