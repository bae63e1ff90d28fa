"""The training loop: one compiled step with donated buffers, and everything around it that happens now and then."""

import math
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from .architectures import require_architecture
from .checkpoints import Checkpoints
from .clock import Clock
from .configuration import Configuration
from .interruption import Interruption, watched
from .log import Log
from .model_directory import Model
from .optimizer import average, gradient_norm, optimizer, schedule
from .preparation import Prepared
from .reporting import Reporter
from .sampling import sample
from .tasks import Batch, Task, task, total

State = dict[str, Any]  # params, and the optimiser's state


class Interrupted(Exception):
    """Somebody asked the run to stop. It has a checkpoint of the step it was at."""

    def __init__(self, step: int) -> None:
        super().__init__(f"stopped after step {step}")
        self.step = step


class Diverged(ArithmeticError):
    """The loss is nan or infinite."""


@dataclass
class Record:
    """What a run has to remember besides its state, in order to go on as if it had never stopped.

    Attributes:
      best: the smallest held-out loss so far, and best_step when that was. worse: evaluations since then.
    """

    best: float | None = None
    best_step: int = 0
    worse: int = 0


@dataclass
class Trainer:
    """A training run of prepared data, in its directory.

    The batch of a step is a function of (seed, step), its key is `fold_in(key, step)`, and the state is all that is
    saved: so a run that was stopped, however that was, ends at the same bits as one that was not.
    """

    configuration: Configuration
    directory: Path
    data: Prepared
    reporter: Reporter
    record: Record = field(default_factory=Record)

    def __post_init__(self) -> None:
        c = self.configuration
        self.hyperparameters = c.hyperparameters(self.data.tokenizer.N_V)
        self.optimizer = optimizer(c)
        self.task: Task = task(c, self.hyperparameters, self.optimizer)
        self.schedule = schedule(c)
        init_key, self.step_key, self.held_out_key = jax.random.split(jax.random.key(c.seed), 3)
        self.checkpoints = Checkpoints(self.directory / "checkpoints", keep_last=c.keep)
        self.mesh = jax.make_mesh((jax.device_count(),), ("batch",), axis_types=(AxisType.Auto,))
        everywhere = NamedSharding(self.mesh, PartitionSpec())
        self.update = jax.jit(self._update, donate_argnums=0, out_shardings=everywhere)
        self.held_out = jax.jit(self.task.held_out)
        self.state: State = jax.jit(self._initial, out_shardings=everywhere)(init_key)

    def _initial(self, key: jax.Array) -> State:
        params = require_architecture(self.configuration.architecture).initialise(key, self.hyperparameters)
        state = {"params": params, "optimizer": self.optimizer.init(params)}
        # A type that is weak would be another type after the first step, which would be compiled twice.
        return jax.tree.map(lambda a: jnp.asarray(a, a.dtype), state)

    def _update(self, state: State, batch: Batch, step: jax.Array) -> tuple[State, dict[str, jax.Array]]:
        key = jax.random.fold_in(self.step_key, step)
        params, history = self.task.update(state["params"], state["optimizer"], batch, key)
        measured = {"loss": history.loss.mean(), "gradient_norm": gradient_norm(history.optimizer_state)}
        return {"params": params, "optimizer": history.optimizer_state}, measured

    def run(self) -> Any:
        """Trains to the end and returns the parameters.

        Raises:
          Interrupted: after a checkpoint. Diverged: the loss is no number any more. CheckpointError: no space.
        """
        c = self.configuration
        begin = self._restore()
        log, clock = Log(self.directory, begin), Clock(c, self.state["params"])
        with watched() as interruption:
            for step in range(begin + 1, c.steps + 1):
                if self._enough():
                    break
                batch = self.data.batches.batch(step - 1)
                clock.count(batch)
                self.state, measured = self.update(self.state, self._placed(batch), step - 1)
                if due(step, c.log_every, c.steps):
                    self._tell(log, step, clock, jax.device_get(measured))
                with clock.paused():
                    self._now_and_then(step, log, interruption)
        return self._best_parameters() if c.patience else self.parameters()

    def _enough(self) -> bool:
        """Whether the held-out loss has not come down for so long that the run is over."""
        return 0 < self.configuration.patience <= self.record.worse

    def _now_and_then(self, step: int, log: Log, interruption: Interruption) -> None:
        """What is done between two steps: evaluate, sample, save.

        Raises:
          Interrupted: somebody asked for it.
        """
        c = self.configuration
        improved = due(step, c.evaluate_every, c.steps) and self._evaluate(log, step)
        if due(step, c.sample_every):
            self.reporter.sampled(step, sample(self.model(), self.data, step))
        stops = interruption.asked and step < c.steps and not self._enough()
        if improved or stops or self._enough() or due(step, c.checkpoint_every, c.steps):
            self._save(step, self.record.best if improved else None)
        if stops:
            raise Interrupted(step)

    def parameters(self) -> Any:
        """The parameters as they would be saved now: the running average, if one is kept."""
        mean = average(self.state["optimizer"])
        return self.state["params"] if mean is None else mean

    def model(self) -> Model:
        """The model as it would be saved now."""
        return Model(self.configuration.architecture, self.parameters(), self.hyperparameters, self.data.tokenizer)

    def _placed(self, batch: Batch) -> Batch:
        """The batch on the devices, cut among them if they are several."""
        rows = len(next(iter(batch.values())))
        spec = PartitionSpec("batch") if rows % self.mesh.size == 0 else PartitionSpec()
        return jax.device_put(batch, NamedSharding(self.mesh, spec))

    def _tell(self, log: Log, step: int, clock: Clock, measured: dict[str, Any]) -> None:
        measured = {name: float(value) for name, value in measured.items()}
        if not math.isfinite(measured["loss"]):
            saved = self.checkpoints.steps()
            last = f"the last checkpoint is of step {saved[-1]}" if saved else "there is no checkpoint yet"
            raise Diverged(
                f"the loss is {measured['loss']} at step {step}; {last}. Begin again with a smaller learning_rate than "
                f"{self.configuration.learning_rate:g}, a longer warmup or a smaller clip"
            )
        measured["learning_rate"] = float(self.schedule(step - 1))
        measured |= clock.rates()
        log.write(step=step, **measured)
        self.reporter.progress(step, measured)

    def _evaluate(self, log: Log, step: int) -> bool:
        """Measures the held-out loss, in nats a token; true if it is the best so far."""
        loss = self.held_out_loss()
        improved = self.record.best is None or loss < self.record.best
        self.record = Record(loss, step, 0) if improved else replace(self.record, worse=self.record.worse + 1)
        measured = {"held_out_loss": loss}
        if self.configuration.architecture != "encoder":
            measured["held_out_bits_per_character"] = loss / math.log(2) * self.data.held_out_tokens_per_character
        log.write(step=step, **measured)
        self.reporter.evaluated(step, {**measured, "best": improved})
        return improved

    def held_out_loss(self) -> float:
        """The mean loss of a held-out token, in nats, over at most `evaluate_batches` batches.

        Raises:
          ValueError: there are so few that none of them is masked.
        """
        batches = islice(self.data.held_out_batches.evaluation(), self.configuration.evaluate_batches)
        nats, tokens = total(self.held_out, self.parameters(), batches, self.held_out_key)
        if not tokens:
            raise ValueError("there is too little held-out text: none of its tokens is one to be guessed")
        return nats / tokens

    def _restore(self) -> int:
        """Goes on from the newest whole checkpoint; gives its step, or 0."""
        restored = self.checkpoints.restore(self.state)
        if restored is None:
            return 0
        for problem in restored.problems:
            self.reporter.note(f"{problem}; going on from step {restored.step}")
        self.state, self.record = restored.state, Record(**restored.record)
        return restored.step

    def _save(self, step: int, loss: float | None) -> None:
        self.checkpoints.save(step, self.state, asdict(self.record), loss)
        self.reporter.saved(step)

    def _best_parameters(self) -> Any:
        best = self.checkpoints.best()
        restored = self.checkpoints.restore(self.state, best) if best is not None else None
        if restored is not None:
            self.state = restored.state
        return self.parameters()


def due(step: int, every: int, last: int | None = None) -> bool:
    """Whether something that is done `every` so many steps (0: never), and at the last one, is to be done now."""
    return every > 0 and (step % every == 0 or step == last)
