# Prints what fish offers for each line of standard input; a line "." follows
# each answer. The argument is the completion script.
source $argv[1]
while read -l line
    complete -C "$line"
    echo .
end
