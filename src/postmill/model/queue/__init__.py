"""Messages, claims, outcomes, retry rules: values and rules of queues."""
