"""What the service does, one module for each part of it. Plain arguments in, results out; HTTP is the api's."""
