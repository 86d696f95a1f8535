package svc

import (
	"crypto/sha1" // what Windows computes; nothing rests on its strength
	"encoding/binary"
	"strconv"
	"strings"
	"unicode/utf16"
)

// serviceSID returns the security identifier of the virtual account
// "NT SERVICE\name", which follows from the name alone: the hash of the name in
// upper case and UTF-16LE, as five numbers below S-1-5-80. So access can be
// granted before there is such a service.
func serviceSID(name string) string {
	var text []byte
	for _, u := range utf16.Encode([]rune(strings.ToUpper(name))) {
		text = binary.LittleEndian.AppendUint16(text, u)
	}
	hash := sha1.Sum(text)
	sid := "S-1-5-80"
	for i := 0; i < len(hash); i += 4 {
		sid += "-" + strconv.FormatUint(uint64(binary.LittleEndian.Uint32(hash[i:])), 10)
	}
	return sid
}
