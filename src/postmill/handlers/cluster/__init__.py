"""``executor="ray"``: a handler that runs as a task of a Ray cluster.

The worker's process never imports Ray. It speaks to a driver, a process of its own, because Ray ends the
process of a driver some time after the cluster's head has died. The driver hands tasks to Ray; a task imports
the function by its name, on whatever machine it runs.

worker: :mod:`on_ray` (a call), :mod:`driver` (the driver's process, watched and replaced)
driver: :mod:`driver_process`, :mod:`ray_cluster`
task: :mod:`remote_task`, :mod:`remote_context`
"""
