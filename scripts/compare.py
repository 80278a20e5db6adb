"""``recgym compare``, from a checkout."""

from recgym_agents.commands.command_line import main

if __name__ == "__main__":
    main("compare")
