// The first process of every container: it holds it, and ends it when nobody renews its lease or its stdin closes, which is
// what is left of a host that was killed. As process 1 it is out of reach of whatever runs in the container, and the lease is
// mounted read-only, so a container cannot prolong its own life. Nothing but a POSIX shell is asked of an image.
//
// Under Apptainer, which has no service that could start further commands, it starts them: `run N` on its stdin runs N.sh with
// the named pipes N.in, N.out and N.err, and `exit N CODE` on its stdout says how it ended.

/** Where the bridge folder stands in a container. */
export const BRIDGE = "/matrix";

/** How often the holder looks at its lease, and how often it may find it unchanged. */
const LOOKS_EVERY_S = 5;
const LOOKS_IN_VAIN_MAX = 6;

/** How long a container outlives the last renewal of its lease. */
export const LEASE_MS = LOOKS_EVERY_S * LOOKS_IN_VAIN_MAX * 1000;
/** How often a host renews it. */
export const RENEWAL_MS = LOOKS_EVERY_S * 1000;

/** `sh -c HOLDER sh LEASE_FILE PIPES_FOLDER`; a lease file of "-" where the engine's machine is not ours. */
export const HOLDER = `
lease=$1 pipes=$2
exec 9<&0
# A relay on the host that waits for the other end of a pipe is let go.
end() { for pipe in "$pipes"/*.in "$pipes"/*.out "$pipes"/*.err; do [ ! -p "$pipe" ] || : <>"$pipe"; done; exit 0; }
trap end TERM
# A shell that waits would end by these.
trap : HUP INT QUIT
(
  # A shell's background commands ignore SIGINT and SIGQUIT; what agents run should not, where env can undo it.
  unignored=
  env --default-signal=INT,QUIT true 2>/dev/null && unignored='env --default-signal=INT,QUIT'
  while read -r word n; do
    case $word in run)
      ( $unignored /bin/sh "$pipes/$n.sh" <"$pipes/$n.in" >"$pipes/$n.out" 2>"$pipes/$n.err" 9<&-; echo "exit $n $?" ) & ;;
    esac
  done
  kill -TERM $$
) <&9 &
exec 9<&- </dev/null
echo ready
vain=0 last=
while [ $vain -lt ${LOOKS_IN_VAIN_MAX} ]; do
  sleep ${LOOKS_EVERY_S} & wait $!
  [ "$lease" = - ] && continue
  now=gone
  [ -r "$lease" ] && read -r now <"$lease"
  if [ "$now" = "$last" ]; then vain=$((vain + 1)); else vain=0 last=$now; fi
done
end
`;

/** `sh -c START sh FOLDER COMMAND…`: becomes the command. What is not there ends with 127, as in every shell. */
export const START = 'cd -- "$1" || exit 126; shift; exec "$@"';

/** The same as a script of its own, with variables and every word quoted. */
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
