import { InvalidArgumentError } from "commander";

/**
 * Parses a whole number of an option.
 * @throws InvalidArgumentError for anything but a whole number in `[min, max]`; commander reports it with the
 * option's name
 */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It takes a whole number from ${min} to ${max}.`);
  };
}
