"""The program once more, in a process that it has started."""

__import__("lenet.program.running", fromlist=["run_again"]).run_again(globals())
