"""What a flow is: its steps, the edges between them, conditions on what they gave. No run and no function."""
