"""The twin: the application's real template on this machine. moto serves AWS's APIs; the twin runs what moto mocks."""
