# SPDX-License-Identifier: BSD-2-Clause
#
# Makes an SVG picture of results.tsv: a bar for every ratio that has a goal, and three lines that ought to be flat.
#
#   awk -f picture.awk results.tsv > results.svg

BEGIN {
    FS = "\t"
    left = 430; width = 420; row = 17; top = 58
    least = log(0.01); most = log(4)
}

/^#/ { if (NR == 1) system_line = substr($0, 3); next }

# pingpong-N-idle, pingpong-N-timers, pingpong-N-queues are the points of the lines.
$1 ~ /^pingpong-[0-9]+-(idle|timers|queues)$/ {
    split($1, part, "-")
    raw_at[part[3], part[2]] = $7
    ours_at[part[3], part[2]] = $8
    if ($7 > highest) highest = $7
    if ($8 > highest) highest = $8
    if (part[3] != "idle" || (part[2] != 0 && part[2] != 1000 && part[2] != 10000)) next
}

$2 == "ratio" && $3 != "-" { title[++count] = $12; ratio[count] = $4; goal[count] = $3; low[count] = $5; high[count] = $6 }

function place(value) {
    value = log(value < 0.01 ? 0.01 : value > 4 ? 4 : value)
    return left + width * (value - least) / (most - least)
}

function text(x, y, anchor, size, colour, words) {
    gsub(/&/, "\\&amp;", words); gsub(/</, "\\&lt;", words)
    printf "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" font-size=\"%d\" fill=\"%s\">%s</text>\n", x, y, anchor, size, colour, words
}

function line(x1, y1, x2, y2, colour, wide) {
    printf "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"%s\"/>\n", x1, y1, x2, y2, colour, wide
}

# The points of one line of the lower picture; nothing where a row is missing.
function path(values, kind, x, y, w, h, style,    n, at, points, found) {
    for (n = 10; n <= 100000; n *= 10) {
        if (!((kind, n) in values)) continue
        at = log(n) / log(10)
        points = points sprintf("%.1f,%.1f ", x + w * (at - 1) / 4, y + h - h * values[kind, n] / highest)
        found = 1
    }
    if (found) printf "<polyline points=\"%s\" fill=\"none\" %s/>\n", points, style
}

function chart(kind, words, x, y,    w, h, n) {
    w = 220; h = 110
    text(x, y - 8, "start", 12, "#222", words)
    line(x, y + h, x + w, y + h, "#999", 1)
    line(x, y, x, y + h, "#999", 1)
    for (n = 1; n <= 5; n++) text(x + w * (n - 1) / 4, y + h + 14, "middle", 10, "#555", n < 4 ? 10 ^ n : 10 ^ (n - 3) "k")
    text(x - 4, y + h, "end", 10, "#555", "0")
    text(x - 4, y + 8, "end", 10, "#555", sprintf("%d", highest))
    path(raw_at, kind, x, y, w, h, "stroke=\"#888\" stroke-width=\"2\" stroke-dasharray=\"4 3\"")
    path(ours_at, kind, x, y, w, h, "stroke=\"#1a6fb0\" stroke-width=\"2\"")
}

END {
    lower = top + count * row + 70
    height = lower + 160
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"920\" height=\"%d\" viewBox=\"0 0 920 %d\" font-family=\"sans-serif\">\n", height, height
    printf "<rect width=\"920\" height=\"%d\" fill=\"white\"/>\n", height
    text(10, 20, "start", 15, "#222", "Time by that of hand-written kernel code for the same information: less is better")
    text(10, 37, "start", 11, "#555", system_line "; medians of neighbouring pairs, quartiles as a thin line, | the goal")
    split("0.01 0.02 0.05 0.1 0.2 0.5 1 2 4", tick, " ")
    for (i = 1; i in tick; i++) {
        line(place(tick[i]), top - 4, place(tick[i]), top + count * row, tick[i] == 1 ? "#444" : "#ddd", 1)
        text(place(tick[i]), top - 8, "middle", 10, "#555", tick[i])
    }
    for (i = 1; i <= count; i++) {
        y = top + (i - 1) * row
        met = ratio[i] <= goal[i] * 1.03
        text(left - 8, y + 12, "end", 11, "#222", title[i])
        from = place(0.01)
        printf "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"9\" fill=\"%s\"/>\n", from, y + 4, place(ratio[i]) - from + 0.5, met ? "#7fb3d8" : "#e0a070"
        line(place(low[i]), y + 8.5, place(high[i]), y + 8.5, "#222", 1)
        line(place(goal[i]), y + 2, place(goal[i]), y + 15, "#0a5", 2)
        text(left + width + 8, y + 12, "start", 11, "#222", sprintf(ratio[i] < 0.1 ? "%.3f" : "%.2f", ratio[i]))
    }
    text(10, lower - 36, "start", 15, "#222", "One byte there and read, in ns, beside more and more of ...")
    chart("idle", "idle knotes", 50, lower)
    chart("timers", "timers", 350, lower)
    chart("queues", "kqueues", 650, lower)
    text(10, lower + 148, "start", 11, "#555", "blue: ours; dashed: raw")
    print "</svg>"
}
