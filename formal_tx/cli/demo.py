"""`formal-tx demo`: the paper runs. Checks every algorithm, trains a decoder and an encoder on real text, uses both."""

import math
import time
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from .. import (
    DTransformerHyperparameters,
    ETransformerHyperparameters,
    d_inference,
    d_training,
    e_training,
    e_transformer,
    init_d_transformer,
    init_e_transformer,
)
from ..crosscheck import ALGORITHMS, report
from ..crosscheck import check as check_both
from ..data import batches, corpus
from ..data.tokenizer import Tokenizer
from ..losses import d_loss
from .console import messages, output

UPDATES_PER_CALL = 20  # the training functions run this many updates between two looks at the progress bar


def demo(
    quick: Annotated[bool, typer.Option("--quick", help="A few seconds of everything, to see that it runs.")] = False,
) -> None:
    """See the paper run: check every algorithm, train on real text, write, fill in a blank."""
    start = time.perf_counter()
    agree = check_every_algorithm(quick)
    train_a_decoder(updates=40 if quick else 2000)
    train_an_encoder(updates=40 if quick else 2000)
    what_next(time.perf_counter() - start)
    raise typer.Exit(0 if agree else 1)


def check_every_algorithm(quick: bool) -> bool:
    """Part 1: the cross-check of all fifteen algorithms."""
    _title("1. Is the library the paper?")
    _say(
        "“Formal Algorithms for Transformers” prints fifteen numbered algorithms. This project has each of them twice: "
        "algorithms/ is the pseudocode, made executable line by line in NumPy; formal_tx is the same as a JAX function "
        "that compiles, batches and differentiates. Both now run on the same inputs, and what every numbered line "
        "assigns is compared. An error of 1e-16 is the last digit of double precision; training (11 to 13) is compared "
        "with gradients by finite differences, which are good to about 1e-10."
    )
    comparisons = []
    with messages.status("") as status:
        for algorithm in ALGORITHMS[:10] if quick else ALGORITHMS:
            status.update(f"checking Algorithm {algorithm.number}, {algorithm.name}")
            comparisons.append(check_both(algorithm, cases=1 if quick else 2))
    report.show(output, comparisons)
    return all(c.agrees for c in comparisons)


def train_a_decoder(updates: int) -> None:
    """Part 2: Algorithm 13 trains Algorithm 10 on characters, Algorithm 14 writes."""
    _title("2. A decoder learns to write English")
    text = corpus.english("train")
    tokenizer = Tokenizer.train("characters", [text])
    ids, held_out = tokenizer.encode(text), tokenizer.encode(corpus.english("validation"))
    hp = DTransformerHyperparameters(l_max=64, L=2, H=4, d_e=128, d_mlp=512, N_V=tokenizer.N_V)
    params = init_d_transformer(jax.random.key(0), hp)
    _say(
        f"Algorithm 13 (d_training) trains Algorithm 10 (d_transformer), {_count(params):,} parameters, to guess the "
        f"next character of the World English Bible: {len(text):,} characters, of which {hp.N_V - 3} are different. "
        "Whole books are held out, and the loss on them is what counts. It is given in bits per character: how many "
        "yes-or-no questions the next character is still worth."
    )
    examples = batches.consecutive(held_out, hp.l_max)[:512]
    before = _bits(d_loss(params, examples, hp, mean=True))

    optimizer = _optimizer(3e-3, updates)
    rng, batch_size = np.random.default_rng(0), 8

    def train(params: Any, state: Any, _: int) -> tuple[Any, Any]:
        x = batches.windows(ids, hp.l_max, UPDATES_PER_CALL * batch_size, rng)
        return d_training(
            x,
            params,
            hp,
            epochs=1,
            optimizer=optimizer,
            batch_size=batch_size,
            mean=True,
            optimizer_state=state,
            history=True,
        )

    params = _train(params, train, updates, batch_size * hp.l_max)
    after = _bits(d_loss(params, examples, hp, mean=True))
    _say(f"Held-out bits per character: {before:.2f} before, {after:.2f} after.")

    prompt = "And he said to them, "
    y = d_inference(
        jnp.asarray(tokenizer.encode(prompt)),
        params,
        hp,
        length=hp.l_max - len(prompt) + 1,
        temperature=0.7,
        key=jax.random.key(1),
    )
    written = prompt + tokenizer.decode(np.asarray(y))
    _say(
        "Algorithm 14 (d_inference) now writes, one character after the other, at temperature 0.7. A model this small, "
        "after a minute, has learnt how words are spelled and little of what they mean:"
    )
    output.print(f"    {written}", style="italic", markup=False, highlight=False)


def train_an_encoder(updates: int) -> None:
    """Part 3: Algorithm 12 trains Algorithm 9 on words, which then fills in a blank."""
    _title("3. An encoder learns to fill in blanks")
    tokenizer = Tokenizer.train("words", [corpus.english("train")], N_V=1024)
    hp = ETransformerHyperparameters(l_max=12, L=2, H=4, d_e=128, d_mlp=512, N_V=1024, tied_embeddings=True)
    params = init_e_transformer(jax.random.key(0), hp)
    _say(
        f"Algorithm 12 (e_training) trains Algorithm 9 (e_transformer, BERT), {_count(params):,} parameters. Its "
        f"tokens are the {hp.N_V - 4:,} most frequent words. Some are replaced by mask_token, and it has to say what "
        "stood there, from the words on both sides. The loss is in bits for each word to be guessed."
    )
    ids = tokenizer.encode(corpus.english("train"))

    optimizer = _optimizer(1.5e-3, updates)
    rng, batch_size = np.random.default_rng(0), 64

    def train(params: Any, state: Any, step: int) -> tuple[Any, Any]:
        x = batches.windows(ids, hp.l_max, UPDATES_PER_CALL * batch_size, rng)
        return e_training(
            x,
            params,
            hp,
            epochs=1,
            optimizer=optimizer,
            mask_probability=0.25,
            key=jax.random.fold_in(jax.random.key(0), step),
            batch_size=batch_size,
            mean=True,
            optimizer_state=state,
            history=True,
        )

    params = _train(params, train, updates, batch_size * hp.l_max)

    _say("Blanks in a held-out book, the word that stood there, and the five likeliest guesses:")
    for number, word in ((1, "god"), (5, "him"), (7, "lord")):
        verse = next(v for v in corpus.verses("validation") if v[:3] == ("James", 1, number))
        sentence, spans = tokenizer.encode_with_spans(verse.english)
        blank = sentence.tolist().index(tokenizer.encode(word)[0])
        first = max(min(blank - hp.l_max // 2, len(sentence) - hp.l_max), 0)
        seen = range(first, min(first + hp.l_max, len(sentence)))
        x = sentence[seen]
        x[blank - first] = hp.mask_token
        p = np.array(e_transformer(x, params, hp)[blank - first])
        p[tokenizer.unknown_token] = 0  # any word that is not among the most frequent
        guesses = ", ".join(f"{tokenizer.piece(i)} {p[i]:.0%}" for i in np.argsort(-p)[:5])
        begin, end = spans[seen[0], 0], spans[seen[-1], 1]
        start, stop = spans[blank]
        shown = f"{verse.english[begin:start]}____{verse.english[stop:end]}"
        output.print(f"    …{shown}…  ({word})", style="italic", markup=False, highlight=False)
        output.print(f"    {guesses}\n", markup=False, highlight=False)


def what_next(seconds: float) -> None:
    """Part 4: where to go from here."""
    _title("What to try next")
    for command, why in (
        ("formal-tx list", "the fifteen algorithms and where both editions are"),
        ("formal-tx show 5", "an algorithm of the paper and its JAX edition side by side"),
        ("formal-tx check 10 --dtype float32", "how much single precision loses, line by line"),
        ("formal-tx check 4 --against my.py:attention", "whether your own attention is the paper's"),
    ):
        output.print(f"    [bold]{command}[/bold]\n        {why}", highlight=False)
    output.print(f"\nThis took {seconds:.0f} seconds.", highlight=False)


def _optimizer(peak: float, updates: int) -> Any:
    """AdamW with clipping, its learning rate warmed up to `peak` and let down again along a cosine."""
    import optax  # only the training needs it

    schedule = optax.warmup_cosine_decay_schedule(0, peak, updates // 10, updates, 1e-4)
    return optax.chain(optax.clip_by_global_norm(1), optax.adamw(schedule, b2=0.98, weight_decay=0.01))


def _train(params: Any, train: Any, updates: int, tokens_per_update: int) -> Any:
    """Call `train(params, optimizer state, step)` until `updates` are made, behind a progress bar."""
    state = None
    columns = (
        TextColumn("    {task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=output) as progress:
        task = progress.add_task("compiling", total=updates)
        start = time.perf_counter()
        for done in range(0, updates, UPDATES_PER_CALL):
            params, history = train(params, state, done)
            state = history.optimizer_state
            bits = _bits(history.loss.mean())
            if done == 0:
                start = time.perf_counter()  # the first call compiles
                rate = ""
            else:
                rate = f", {done * tokens_per_update / (time.perf_counter() - start):,.0f} tokens/s"
            progress.update(task, completed=done + UPDATES_PER_CALL, description=f"loss {bits:.2f}{rate}")
    output.print()
    return params


def _bits(nats: Any) -> float:
    return float(nats) / math.log(2)


def _count(params: Any) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def _title(text: str) -> None:
    output.print()
    output.rule(f"[bold]{text}", align="left")
    output.print()


def _say(text: str) -> None:
    output.print(text + "\n", highlight=False, markup=False)
