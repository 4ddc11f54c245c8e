"""Methods that PEFT does not have, registered through its own extension point."""
