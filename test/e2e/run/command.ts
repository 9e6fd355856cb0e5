import { spawn } from "node:child_process";

export interface CommandResult {
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly cwd?: string;
  /** Fed to the command's standard input. */
  readonly input?: Uint8Array;
}

/** A command that failed, with what it wrote to stderr in its message. */
export class CommandError extends Error {
  override readonly name = "CommandError";
}

/** Runs a program to its end and returns what it wrote; a code other than 0 throws. */
export function command(
  program: string,
  words: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, {
      cwd: options.cwd,
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, LC_ALL: "C" },
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
    child.on("error", (cause) =>
      reject(new CommandError(`${program} could not be run: ${cause.message}`, { cause })),
    );
    child.on("close", (code, signal) => {
      const stderr = Buffer.concat(err).toString("utf8");
      if (code === 0) resolve({ stdout: Buffer.concat(out), stderr });
      else {
        const how = signal === null ? `exited with ${String(code)}` : `was ended by ${signal}`;
        const line = [program, ...words.slice(0, 6)].join(" ");
        reject(new CommandError(`${line} ... ${how}:\n${stderr.trim().slice(-2000)}`));
      }
    });
    child.stdin.on("error", () => {});
    child.stdin.end(options.input);
  });
}
