"""One verb, one file.

Each module has SUMMARY (one line of --help), EXAMPLES (the foot of its --help),
add_arguments(parser), and run(args, ctx), which returns the exit code. Only commands and `cli`
print; stdout carries only the answer.
"""
