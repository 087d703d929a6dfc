# The header of a backend that serves less: "awk -f without.awk ABSENT HEADER" leaves out what the words in the file
# ABSENT name, each with the comment above it.
BEGIN { RS = "" }
FILENAME == ARGV[1] { for (i = 1; i <= NF; i++) absent[$i]; next }
{
    name = match($0, /#define [A-Z_]+/) ? substr($0, RSTART + 8, RLENGTH - 8) : ""
    if (!(name in absent))
        printf "%s%s\n", printed++ ? "\n" : "", $0
}
