package stix

import (
	"fmt"
	"time"
)

// The first and last instants that RFC 3339, and with it JSON, can express.
var (
	firstTime = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	lastTime  = time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC)
)

// ParseTime reads a time stamp: RFC 3339 with a fraction of any length (beyond
// nanoseconds it is cut), with Z or an offset. As feeds write them, it also takes
// a lower-case t and z, a space instead of T, a missing zone (read as UTC), a
// missing time of day, and second 60. The result is in UTC and within the years
// 0 to 9999.
func ParseTime(s string) (time.Time, error) {
	t, ok := parseTime(s)
	if !ok {
		return time.Time{}, fmt.Errorf("%.40q is not an RFC 3339 time stamp", s)
	}
	return t, nil
}

func parseTime[S string | []byte](s S) (time.Time, bool) {
	var zero time.Time
	if len(s) < 10 || s[4] != '-' || s[7] != '-' {
		return zero, false
	}
	year, ok1 := digits(s, 0, 4)
	month, ok2 := digits(s, 5, 2)
	day, ok3 := digits(s, 8, 2)
	if !ok1 || !ok2 || !ok3 || month < 1 || month > 12 || day < 1 || day > daysIn(month, year) {
		return zero, false
	}
	if len(s) == 10 {
		return time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC), true
	}
	if c := s[10]; len(s) < 19 || c != 'T' && c != 't' && c != ' ' || s[13] != ':' || s[16] != ':' {
		return zero, false
	}
	hour, ok1 := digits(s, 11, 2)
	minute, ok2 := digits(s, 14, 2)
	second, ok3 := digits(s, 17, 2)
	if !ok1 || !ok2 || !ok3 || hour > 23 || minute > 59 || second > 60 {
		return zero, false
	}
	i, nanos := 19, 0
	if i < len(s) && (s[i] == '.' || s[i] == ',') {
		i++
		start, scale := i, 100_000_000
		for ; i < len(s) && s[i]-'0' <= 9; i++ {
			nanos += int(s[i]-'0') * scale
			scale /= 10
		}
		if i == start {
			return zero, false
		}
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC)
	switch rest := len(s) - i; {
	case rest == 0, rest == 1 && (s[i] == 'Z' || s[i] == 'z'):
	case rest >= 5 && (s[i] == '+' || s[i] == '-'):
		at := i + 3
		if s[at] == ':' {
			at++
		}
		h, ok1 := digits(s, i+1, 2)
		m, ok2 := digits(s, at, 2)
		if !ok1 || !ok2 || at+2 != len(s) || h > 23 || m > 59 {
			return zero, false
		}
		offset := time.Duration(h)*time.Hour + time.Duration(m)*time.Minute
		if s[i] == '+' {
			offset = -offset
		}
		t = t.Add(offset)
	default:
		return zero, false
	}
	if t.Before(firstTime) {
		t = firstTime
	} else if t.After(lastTime) {
		t = lastTime
	}
	return t, true
}

// digits reads n decimal digits of s from at.
func digits[S string | []byte](s S, at, n int) (int, bool) {
	if at+n > len(s) {
		return 0, false
	}
	v := 0
	for i := at; i < at+n; i++ {
		d := s[i] - '0'
		if d > 9 {
			return 0, false
		}
		v = v*10 + int(d)
	}
	return v, true
}

func daysIn(month, year int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}
