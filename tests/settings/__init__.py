"""What a settings file may say, and what a person is told when it may not."""
