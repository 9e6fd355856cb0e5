/** A benchmark's options, each told by its default: `--name=value`, a list's values with commas between. */
import { parseArgs } from "node:util";

type Default = number | readonly number[] | readonly string[];

/** A default's kind without its value. */
type Value<T extends Default> = T extends number
  ? number
  : T extends readonly number[]
    ? readonly number[]
    : readonly string[];

type Values<T> = {
  readonly [Name in keyof T]: T[Name] extends Default ? Value<T[Name]> : never;
};

/** The process's arguments; `--json` goes with every benchmark. Throws for those that there are not. */
export function benchOptions<T extends Readonly<Record<string, Default>>>(
  defaults: T,
): Values<T> & { readonly json: boolean } {
  const given = Object.keys(defaults).map((name) => [name, { type: "string" }] as const);
  const { values } = parseArgs({
    options: { json: { type: "boolean", default: false }, ...Object.fromEntries(given) },
  });
  const texts = new Map(Object.entries(values));
  const own = Object.entries(defaults).map(([name, fallback]) => {
    const text = texts.get(name);
    return [name, typeof text === "string" ? valueOf(name, text, fallback) : fallback];
  });
  return { json: values.json, ...Object.fromEntries(own) };
}

function valueOf(name: string, text: string, fallback: Default): Default {
  if (typeof fallback === "number") return numberOf(name, text);
  const words = text.split(",");
  return typeof fallback[0] === "number" ? words.map((word) => numberOf(name, word)) : words;
}

function numberOf(name: string, text: string): number {
  const value = Number(text);
  if (text === "" || Number.isNaN(value)) throw new Error(`--${name}: ${text} is no number`);
  return value;
}
