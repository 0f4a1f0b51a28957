"""From the scenario of a stress test to the library's objects; what does not fit the table names the file and the key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .scenario import NEW_STRESS, read_as
from .sentence import nearest, quoted
from .source import Source
from .stress_scenario import (
    BurkeHsiangMiguelDamage,
    Damage,
    DICE2016RDamage,
    DICE2023Damage,
    HowardSternerDamage,
    SigmoidDamage,
    StressScenario,
    TableDamage,
    WeitzmanDamage,
)

if TYPE_CHECKING:  # imported where they are used: reading a scenario needs neither JAX nor pandas
    import numpy as np

    from ..climate import AbstractDamage, AbstractReading, AbstractVulnerability
    from ..economy import Economy


@dataclass
class StressBuilder(Source[StressScenario]):
    """The scenario file of a stress test and what is made of it."""

    @staticmethod
    def of(path: Path) -> StressBuilder:
        """Read and validate a scenario file."""
        return StressBuilder(path, *read_as(path, StressScenario, new=NEW_STRESS))

    def economy(self) -> Economy:
        """Return the table that the scenario names, which has to have neither negative flows nor negative final demand."""
        return self.nonnegative(self.scenario.economy, self.scenario.report.outcomes)

    def damage(self, economy: Economy) -> AbstractDamage:
        """Return the damage function of the [damage] section."""
        return self.curve("damage", self.scenario.damage, economy)

    def curve(self, key: str, section: Damage, economy: Economy) -> AbstractDamage:
        """Return the damage function of a section."""
        from .. import climate

        with self.at(key):
            match section:
                case SigmoidDamage(steepness=steepness, threshold=threshold):
                    return climate.Sigmoid(steepness, threshold)
                case DICE2016RDamage():
                    return climate.DICE2016R(**_given(section, "a2"))
                case DICE2023Damage():
                    return climate.DICE2023(**_given(section, "a2"))
                case HowardSternerDamage():
                    return climate.HowardSterner(**_given(section, "catastrophic", "productivity", "omitted"))
                case WeitzmanDamage():
                    return climate.Weitzman(**_given(section, "quadratic", "steep", "power"))
                case BurkeHsiangMiguelDamage():
                    reference = self.scenario.stress.reference
                    return climate.BurkeHsiangMiguel(
                        reference=0.0 if reference is None else reference,
                        **_given(section, "climate", "years", "amplification", "growth"),
                    )
                case TableDamage():
                    return self._tabulated(f"{key}.path", section, economy)

    def _tabulated(self, key: str, section: TableDamage, economy: Economy) -> AbstractDamage:
        """Return the curve of a file, or, where it has one for every region or sector, that of each account."""
        import numpy as np

        from ..climate import ByAccount, read_damages

        path = self.path.parent / section.path
        with self.at(key):
            curves = read_damages(path, source=section.source, year=section.year)
        self.hash(path)
        found = list(curves.values())
        if () in curves:
            return found[0]
        names = [label[0] if len(label) == 1 else label for label in curves]
        with self.at(key):
            at = np.asarray(economy.align({name: float(k) for k, name in enumerate(names)}))
        return ByAccount(found[int(k)] for k in at)

    def vulnerability(self, economy: Economy) -> AbstractVulnerability:
        """Return what damage does to every account."""
        import numpy as np

        from ..climate import InputRequirement, Productivity

        section = self.scenario.vulnerability
        gamma = self.by_name("vulnerability", economy, section.gamma, section.regions, section.sectors)
        if section.gammas is not None:
            key = "vulnerability.gammas"
            series = self.series(key, section.gammas, "gamma", lambda v: 0 <= v < np.inf, "a number of at least 0")
            gamma = self.over(gamma, key, economy, series)
        made = InputRequirement if section.kind == "input-requirement" else Productivity
        return made(gamma)

    def readings(self) -> tuple[AbstractReading, ...]:
        """Return the reading of the scenario and those that it is compared with."""
        from .. import climate

        section = self.scenario.stress
        made = {
            "factor-limited": climate.FactorLimited,
            "fixed-capacity": climate.FixedCapacity,
            "bottleneck": climate.Bottleneck,
            "resource-requirement": climate.ResourceRequirement,
            "linear-programme": lambda: climate.LinearProgramme(spare=section.spare),
        }
        return tuple(made[name]() for name in (section.reading, *section.compare))

    def labour(self, economy: Economy) -> np.ndarray:
        """Return the factor per unit of output (n,): that of the account that the scenario names, or all primary inputs."""
        import numpy as np

        name = self.scenario.stress.factor
        if name is not None:
            with self.at("stress.factor"):
                labour = np.asarray(economy.intensity(name))
        else:
            labour = 1 - np.asarray(economy.A).sum(axis=0)
        least = int(np.argmin(labour))
        if labour[least] < 0 or not labour.any():
            region, sector = economy.index[least]
            what = "primary inputs" if name is None else name
            text = f"{what} per unit of output are {labour[least]:.3g} in {quoted(f'{region}, {sector}')}"
            other = nearest("", ["value_added", *economy.satellites])
            raise self.error("stress.factor", f"{text}, but have to be at least 0 and somewhere above; {other}")
        return labour

    def published(self, economy: Economy) -> AbstractDamage | float:
        """Return the loss that the [match] section names, a number or a damage function."""
        section = self.scenario.match
        assert section is not None
        if section.published is not None:
            return self.curve("match.published", section.published, economy)
        assert section.loss is not None
        return section.loss


def _given(section: Any, *names: str) -> dict[str, Any]:
    """Return the keys that are given; the others have the published values."""
    return {name: getattr(section, name) for name in names if getattr(section, name) is not None}
