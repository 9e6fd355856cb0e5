/** Codes thrown by the command line; each is documented on the errors page and thrown somewhere (tested). */
export const cliCodes = {
  ERR_VFMIG_CLI_USAGE: {
    means: "A command was given a word or a number that it does not take.",
    remedy: "Run the command with --help; its examples show what it takes.",
  },
  ERR_VFMIG_CLI_FILE: {
    means: "A file that was named on the command line cannot be read or written.",
    remedy: "Check the path, and the rights of the file and its folder.",
  },
} as const;
