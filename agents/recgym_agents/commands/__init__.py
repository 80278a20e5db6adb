"""The commands, a module each; ``recgym NAME`` runs one."""
