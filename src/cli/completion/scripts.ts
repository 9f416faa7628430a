// The completion of each shell: a small function that asks the program. Its own candidates come
// first; where there are none, the shell completes the names of files.

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/**
 * Bash splits words at = and :, so the program is given the whole line and the part that bash would
 * replace.
 */
const BASH = `# bash completion for matrix
_matrix() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    COMPREPLY+=("$line")
  done < <("\${1/#\\~/$HOME}" complete bash -- "$2" "\${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
  if [[ \${COMPREPLY[0]-} == *[=./,] ]] && type compopt &>/dev/null; then
    compopt -o nospace 2>/dev/null
  fi
}
complete -o bashdefault -o default -F _matrix matrix
`;

const ZSH = `#compdef matrix
# zsh completion for matrix
_matrix() {
  local line entry
  local -a lines whole parts
  lines=("\${(@f)$(\${(Q)words[1]} complete zsh -- "\${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
  for line in $lines; do
    [[ -z $line ]] && continue
    entry="\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}"
    if [[ \${line%%$'\\t'*} == *[=./,] ]]; then parts+=("$entry"); else whole+=("$entry"); fi
  done
  if (( $#whole + $#parts == 0 )); then
    compset -P '*='
    _files
    return
  fi
  (( $#whole )) && _describe -V matrix whole
  (( $#parts )) && _describe -V matrix parts -S ''
}
if [[ $funcstack[1] == _matrix ]]; then _matrix "$@"; else compdef _matrix matrix; fi
`;

const FISH = `# fish completion for matrix
function __matrix_complete
  set -l words (commandline -opc)
  set -l word (commandline -ct)
  set -l found ($words[1] complete fish -- $words[2..-1] "$word" 2>/dev/null)
  if test (count $found) -gt 0
    printf '%s\\n' $found
  else
    __fish_complete_path "$word"
  end
end
complete -c matrix -f -a '(__matrix_complete)'
`;

export const SCRIPTS: Readonly<Record<Shell, string>> = { bash: BASH, zsh: ZSH, fish: FISH };
