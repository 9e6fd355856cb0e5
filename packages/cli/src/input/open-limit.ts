import { Option } from "commander";
import { wholeNumber } from "./whole-number.ts";

/** How long whoever opens devices waits for one. */
export function openLimitOption(): Option {
  return new Option("--open-limit <s>", "seconds that a device may take to open, with its packages")
    .default(30)
    .argParser(wholeNumber(1, 3600));
}
