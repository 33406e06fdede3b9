"""`graft`: everything a person does that is not a stage, a module for each group of commands.

May import everything, inside the command that needs it.
"""
