"""What a user writes: the `@worker` decorator, tasks, the context a handler is given, the EdgeWorker facade."""
