# Prints what zsh offers for each line of standard input; a line "." follows
# each answer. $1 is a directory for $fpath that holds the completion script, $2
# one for temporary files. An interactive shell does the work, on a pseudo-terminal.
zmodload zsh/zpty
dir=$2

cat >$dir/setup <<'SETUP'
autoload -Uz compinit
compinit -u -D
unsetopt beep
LISTMAX=100000
compadd() {
	# Calls that only sort matches into arrays are no offers yet.
	if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then
		builtin compadd "$@"
		return
	fi
	local -a hits
	builtin compadd -A hits "$@"
	print -rl -- $hits >>$ANSWER
	builtin compadd "$@"
}
answered() {
	print . >>$ANSWER
	BUFFER=
}
zle -N answered
bindkey '^I' complete-word '^X^X' answered
print . >>$ANSWER
SETUP

answer=$dir/answer
drain() {
	local chunk i
	for ((i = 0; i < 2000; i++)); do # at most 20 seconds
		while zpty -rt shell chunk; do :; done
		[[ -e $answer && $(tail -n 1 $answer) == . ]] && return
		sleep 0.01
	done
	print -u2 "zsh did not answer"
	exit 1
}
zpty shell "ANSWER=$answer PS1= zsh -f -i"
zpty -w shell "fpath=(${(q)1} \$fpath); source $dir/setup"
drain
while IFS= read -r line; do
	: >$answer
	zpty -w -n shell "$line"$'\t\x18\x18'
	drain
	cat $answer
done
zpty -d shell
