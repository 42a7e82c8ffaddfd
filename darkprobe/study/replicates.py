"""What plans of studies share: which replicates there are, and what must be said before their results."""


class Replicated:
    """A plan with pilot replicates, on which choices are made, and confirm replicates, on which they are tested."""

    seed: int
    pilot: int
    confirm: int
    scaled: str
    smoke: bool

    @property
    def caution(self) -> str:
        """What must stand before every sentence on this study's results; empty for a full run."""
        smoke = "Smoke run, no evidence. " if self.smoke else ""
        return smoke + (f"Scaled study: {self.scaled}. " if self.scaled else "")

    def replicate_seed(self, replicate: int) -> int:
        """Seed of a replicate's split, of all its networks and of its batch order. Pilot replicates come first."""
        return 1000 * self.seed + replicate

    @property
    def pilot_replicates(self) -> range:
        """Replicates on which choices are made."""
        return range(self.pilot)

    @property
    def confirm_replicates(self) -> range:
        """Replicates on which the choices are tested, disjoint from the pilot's."""
        return range(self.pilot, self.pilot + self.confirm)
