"""The commands, a module for each thing a person wants: set up, sync, ask, decide, try out, care for the ledger."""
