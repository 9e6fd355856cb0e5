import type { NativeIo } from "./native-io.ts";

// All in milliseconds, as performance.now() gives them.
/** A message that comes within this of the last answer is prompt. A wake-up across CPUs takes 60 us. */
const PROMPT_MS = 0.15;
/** Longest wait for one message: beyond it a wake-up by the event loop costs less than it saves. */
const WAIT_MS = 0.05;
/** Longest stay in one turn; timers and other descriptors wait for that long. */
const TURN_MS = 0.5;
/** A look that takes longer has given the CPU to a process that computes. */
const SLOW_MS = 0.4;
/** Yields that allow one slow look, which another process's time slice may explain, and the most saved up. */
const SLOW_COST = 200;
const MOST_PATIENCE = 800;

/** Prompt messages in a row before the first wait, and the most that failures raise it to. */
const LEAST_STREAK = 4;
const MOST_STREAK = 64;
/** What waits that were rewarded may save up, and what one that was not costs of it. */
const CREDIT_LIMIT = 64;
const FAILURE_COST = 4;
/** Rests of messages that did not come within a wait, in a row, after which none is waited for. */
const MOST_MISSING_RESTS = 16;
/** Looks to each yield while the peer seems to have a CPU of its own. */
const SPARSE_YIELDS = 4;
/** Messages without yields after a slow look; doubled each time. */
const LEAST_PAUSE = 1024;
const MOST_PAUSE = 262_144;

/**
 * Decides whether to wait for a peer's next message, and waits so that it serves both placements:
 * on two CPUs the message is there before a sleeper could have been woken, and on one the CPU is given to
 * the peer, which needs it to write the message.
 *
 * It waits only while that is rewarded: after a streak of messages that each came promptly after the last
 * answer, no longer than 50 us for each, and less and less often where nothing comes. A peer that is idle
 * costs nothing; one that stops costs one wait. Where another process competes for the CPU, a yield is a
 * gift of a whole time slice; so slow looks that come often end the yields for a long while.
 *
 * One per connection. Its owner frames the turns of the event loop by {@link AdaptiveReceiver.turnBegins}
 * and {@link AdaptiveReceiver.turnEnds}. Nothing here allocates.
 */
export class AdaptiveReceiver {
  readonly #io: NativeIo;
  readonly #now: () => number;
  #turnStart = 0;
  #answered = -Infinity;
  #streak = 0;
  #neededStreak = LEAST_STREAK;
  #credit = 0;
  /** Messages until yields are tried again. */
  #paused = 0;
  #pause = LEAST_PAUSE;
  #patience = MOST_PATIENCE / 2;
  #missingRests = 0;
  /** The last reward came right after the first yield, as it does where both share a CPU. */
  #sharesCpu = true;

  /** @param now Milliseconds with a fraction; for tests. */
  constructor(io: NativeIo, now: () => number = () => performance.now()) {
    this.#io = io;
    this.#now = now;
  }

  /** The event loop says that there is something to read. */
  turnBegins(): void {
    this.#turnStart = this.#now();
    this.#streak = this.#turnStart - this.#answered <= PROMPT_MS ? this.#streak + 1 : 0;
    if (this.#paused > 0) this.#paused -= 1;
  }

  /** The owner goes back to the event loop. */
  turnEnds(): void {
    this.#answered = this.#now();
  }

  /** As {@link NativeIo.receive}: what came within the wait, or -1 at once where none is worth while. */
  receive(fd: number, into: Uint8Array, offset: number, length: number, fds: number[]): number {
    if (this.#streak < this.#neededStreak) return -1;
    return this.#wait(fd, into, offset, length, fds);
  }

  /** As {@link AdaptiveReceiver.receive} for the rest of a message, which is on its way already. */
  receiveRest(fd: number, into: Uint8Array, offset: number, length: number, fds: number[]): number {
    if (this.#missingRests >= MOST_MISSING_RESTS) return -1;
    const count = this.#wait(fd, into, offset, length, fds);
    this.#missingRests = count < 0 ? this.#missingRests + 1 : 0;
    return count;
  }

  #wait(fd: number, into: Uint8Array, offset: number, length: number, fds: number[]): number {
    const yields = this.#paused === 0;
    // Without yields the peer cannot write while this side looks.
    if (!yields && this.#sharesCpu) return -1;
    const start = this.#now();
    if (start - this.#turnStart > TURN_MS) return -1;
    const yieldEvery = this.#sharesCpu ? 1 : SPARSE_YIELDS;
    let before = start;
    for (let looks = 1; ; looks += 1) {
      const yielded = yields && looks % yieldEvery === 0;
      if (yielded) this.#io.yieldCpu();
      const count = this.#io.receive(fd, into, offset, length, fds);
      const after = this.#now();
      const slow = yielded && after - before > SLOW_MS;
      if (slow) this.#slowLook();
      if (count >= 0) {
        if (yields) this.#sharesCpu = yielded && looks === yieldEvery;
        if (!slow) this.#rewarded(yields);
        return count;
      }
      if (slow || after - start > WAIT_MS) break;
      before = after;
    }
    this.#failed();
    return -1;
  }

  #rewarded(yields: boolean): void {
    this.#streak += 1;
    if (yields) {
      if (this.#patience < MOST_PATIENCE) this.#patience += 1;
      else this.#pause = LEAST_PAUSE;
    } else {
      this.#paused -= 1;
    }
    if (this.#credit < CREDIT_LIMIT) {
      this.#credit += 1;
    } else if (this.#neededStreak > LEAST_STREAK) {
      this.#credit = 0;
      this.#neededStreak /= 2;
    }
  }

  #failed(): void {
    this.#streak = 0;
    this.#credit -= FAILURE_COST;
    if (this.#credit >= 0) return;
    this.#credit = 0;
    // Without yields nothing comes: the peer has no other CPU to write from.
    if (this.#paused > 0) this.#sharesCpu = true;
    if (this.#neededStreak < MOST_STREAK) this.#neededStreak *= 2;
  }

  #slowLook(): void {
    this.#patience -= SLOW_COST;
    if (this.#patience >= 0) return;
    this.#patience = 0;
    this.#paused = this.#pause;
    // It may have a CPU of its own after all; waits without yields will show.
    this.#sharesCpu = false;
    if (this.#pause < MOST_PAUSE) this.#pause *= 2;
  }
}
