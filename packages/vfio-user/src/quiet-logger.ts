import type { Clock, Logger } from "@vfmig/core";

/** Lines of one level that may come at once, and how many a second after that. */
const BURST = 64;
const PER_SECOND = 8;

type Level = keyof Logger;

/** Lines of one level: what may still be said, and what was not. */
interface Budget {
  left: number;
  at: number;
  suppressed: number;
}

/**
 * A logger that a peer cannot flood: what a peer causes is said at most {@link BURST} times at once and
 * {@link PER_SECOND} times a second for each level, and then how many lines were left out.
 */
export function quietLogger(logger: Logger, clock: Pick<Clock, "now">): Logger {
  const levels: readonly Level[] = ["debug", "info", "warn", "error"];
  const budgets = new Map(
    levels.map((level): [Level, Budget] => [
      level,
      { left: BURST, at: clock.now(), suppressed: 0 },
    ]),
  );
  const say =
    (level: Level): Logger[Level] =>
    (message, details) => {
      const budget = budgets.get(level);
      if (budget === undefined || !maySpeak(budget, clock.now())) return;
      if (budget.suppressed > 0) {
        const lines = budget.suppressed;
        budget.suppressed = 0;
        logger[level](`vfio-user: ${lines} more such lines were left out`, { lines });
      }
      if (details === undefined) logger[level](message);
      else logger[level](message, details);
    };
  return { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
}

function maySpeak(budget: Budget, now: number): boolean {
  budget.left = Math.min(BURST, budget.left + ((now - budget.at) / 1000) * PER_SECOND);
  budget.at = now;
  if (budget.left < 1) {
    budget.suppressed += 1;
    return false;
  }
  budget.left -= 1;
  return true;
}
