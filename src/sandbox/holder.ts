// The holder is the first process of every container. It keeps the container alive, and ends it
// when its lease is no longer renewed or its stdin closes: both happen when the host is killed. As
// process 1 it cannot be killed from inside the container, and the lease is mounted read-only, so
// that a container cannot prolong its own life. The holder needs nothing of an image but a POSIX
// shell.
//
// Under Apptainer, which has no service that could start further commands, the holder starts them:
// `run NAME` on its stdin runs NAME.sh with the named pipes NAME.in, NAME.out and NAME.err, and
// `exit NAME CODE` on its stdout reports the end.

/** The bridge folder, as a container sees it. */
export const BRIDGE = "/matrix";

/** The holder looks at its lease this often, and ends after this many looks without a change. */
const LOOKS_EVERY_S = 5;
const LOOKS_IN_VAIN_MAX = 6;

/** Time that a container outlives the last renewal of its lease. */
export const LEASE_MS = LOOKS_EVERY_S * LOOKS_IN_VAIN_MAX * 1000;
/** Interval at which a host renews its lease. */
export const RENEWAL_MS = LOOKS_EVERY_S * 1000;

/**
 * Run as `sh -c HOLDER sh LEASE_FILE PIPES_FOLDER`. The word `-` in place of either stands for
 * none.
 */
export const HOLDER = `
lease=$1 pipes=$2
exec 9<&0
# A relay on the host may still wait to open a pipe. Opening each pipe here lets it go.
end() { for pipe in "$pipes"/*.in "$pipes"/*.out "$pipes"/*.err; do [ ! -p "$pipe" ] || : <>"$pipe"; done; exit 0; }
trap end TERM
# Without a handler, these signals would end the waiting shell.
trap : HUP INT QUIT
(
  # A shell's background commands ignore SIGINT and SIGQUIT. Undo that for agents, where env can.
  unignored=
  env --default-signal=INT,QUIT true 2>/dev/null && unignored='env --default-signal=INT,QUIT'
  while read -r word n; do
    case $word in run)
      ( $unignored /bin/sh "$pipes/$n.sh" <"$pipes/$n.in" >"$pipes/$n.out" 2>"$pipes/$n.err" 9<&-; echo "exit $n $?" ) & ;;
    esac
  done
  kill -TERM $$
) <&9 &
reader=$!
exec 9<&- </dev/null
echo ready
vain=0 last=
while [ $vain -lt ${LOOKS_IN_VAIN_MAX} ]; do
  sleep ${LOOKS_EVERY_S} & wait $!
  # A program that kills all it can kills the reader and this sleep. Nothing can be started then.
  kill -0 $reader 2>/dev/null || end
  [ "$lease" = - ] && continue
  now=gone
  [ -r "$lease" ] && read -r now <"$lease"
  if [ "$now" = "$last" ]; then vain=$((vain + 1)); else vain=0 last=$now; fi
done
end
`;

/**
 * Run as `sh -c START sh FOLDER COMMAND…`: becomes the command. A missing program exits with 127.
 */
export const START = 'cd -- "$1" || exit 126; shift; exec "$@"';

/** A script that does the same, with the variables set and every word quoted. */
export function scriptOf(
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>>,
): string {
  const variables = Object.entries(env).map(([name, value]) => `export ${name}=${quote(value)}\n`);
  return `${variables.join("")}cd -- ${quote(cwd)} || exit 126\nexec ${args.map(quote).join(" ")}\n`;
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
