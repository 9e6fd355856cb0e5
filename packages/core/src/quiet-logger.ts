import type { Clock } from "./clock.ts";
import type { Logger } from "./logger.ts";

export interface QuietLoggerOptions {
  /** Lines of one level that may come at once. Default 64. */
  readonly burst?: number;
  /** Lines of one level a second, after that. Default 8. */
  readonly perSecond?: number;
}

type Level = keyof Logger;

/** Lines of one level: how many may still be said, as of when, and how many were not. */
interface Budget {
  left: number;
  at: number;
  suppressed: number;
}

/**
 * A logger that a guest or a peer cannot flood: whatever it causes is said so many times at once and so
 * many times a second for each level, and then how many lines were left out.
 */
export function quietLogger(
  logger: Logger,
  clock: Pick<Clock, "now">,
  options: QuietLoggerOptions = {},
): Logger {
  const { burst = 64, perSecond = 8 } = options;
  const take = (budget: Budget): boolean => {
    const now = clock.now();
    budget.left = Math.min(burst, budget.left + ((now - budget.at) / 1000) * perSecond);
    budget.at = now;
    if (budget.left < 1) {
      budget.suppressed += 1;
      return false;
    }
    budget.left -= 1;
    return true;
  };
  const say = (level: Level): Logger[Level] => {
    const budget: Budget = { left: burst, at: clock.now(), suppressed: 0 };
    return (message, details) => {
      if (!take(budget)) return;
      if (budget.suppressed > 0) {
        const lines = budget.suppressed;
        budget.suppressed = 0;
        logger[level](`${lines} more lines of this level came too fast and were left out`, {
          lines,
        });
      }
      if (details === undefined) logger[level](message);
      else logger[level](message, details);
    };
  };
  return { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
}
