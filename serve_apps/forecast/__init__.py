"""What a whole job would cost, take and reach, told from a pilot before money is spent."""
