/** What the exit code of `vfmig` says. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  configuration: 3,
  environment: 4,
  device: 5,
  undecided: 6,
} as const;

/** The same in words, as help and README have it. */
export const EXIT_WORDS: Readonly<Record<keyof typeof EXIT, string>> = {
  ok: "ok",
  failed:
    "a check failed: a frame was lost, duplicated, reordered or corrupted, a page forgotten, a stream is not sound, a layer differs",
  usage: "the command line is wrong, or names what is not there",
  configuration: "the configuration or a plugin in it is wrong",
  environment: "the machine lacks something",
  device: "a device failed, or cannot do what was asked",
  undecided: "nobody can say: a replay had not the same input, or not at the same moment",
};

/** What stands at the end of the help of each command. */
export function exitCodeHelp(): string {
  const rows = Object.entries(EXIT).map(([name, code]) => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- its own keys
    return `  ${code}  ${EXIT_WORDS[name as keyof typeof EXIT]}`;
  });
  return `\nExit codes:\n${rows.join("\n")}`;
}
