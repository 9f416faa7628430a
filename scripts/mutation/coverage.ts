// Names that the instrumented sources, the dry run and its preload share.

/** Global array of bytes in which instrumented code marks the mutants that it reaches. */
export const COVERAGE_GLOBAL = "__mutantCoverage";
/** Environment of the preload: where it writes, and how many mutants there are. */
export const COVERAGE_FILE = "MUTATION_COVERAGE_FILE";
export const COVERAGE_TOTAL = "MUTATION_COVERAGE_TOTAL";
