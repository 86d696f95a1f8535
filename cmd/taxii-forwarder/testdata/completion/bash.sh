# Prints what bash offers for each line of standard input; a line "." follows
# each answer. $1 is the completion script.
source "$1"
compopt() { :; } # wants a completion that readline began
while IFS= read -r line; do
	# As bash splits it: "=" is a word of its own.
	read -ra COMP_WORDS <<<"${line//=/ = }"
	if [[ $line == *' ' || $line == *= ]]; then
		COMP_WORDS+=('')
	fi
	[[ $line == *= ]] && unset 'COMP_WORDS[-1]'
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	COMPREPLY=()
	_taxii_forwarder
	((${#COMPREPLY[@]})) && printf '%s\n' "${COMPREPLY[@]}"
	echo .
done
