import { command, CommandError } from "../run/command.ts";

/** The compiler of this machine with which modules can be built, if it has `make` and binutils as well. */
export async function findCompiler(): Promise<string | undefined> {
  for (const tool of ["make", "ld", "strip"]) if (!(await runs(tool))) return undefined;
  for (const compiler of ["gcc-12", "gcc"]) if (await runs(compiler)) return compiler;
  return undefined;
}

async function runs(program: string): Promise<boolean> {
  try {
    await command(program, ["--version"]);
    return true;
  } catch (error) {
    if (error instanceof CommandError) return false;
    throw error;
  }
}
