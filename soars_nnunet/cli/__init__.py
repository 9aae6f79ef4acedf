"""The commands, a module each. Importing the package is the first thing that each of them does."""

from soars_nnunet.cli.interruption import take_over

take_over()
