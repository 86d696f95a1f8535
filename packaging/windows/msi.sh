#!/bin/sh
# Builds the installation package for Windows and prints its path:
#
#   SOURCE_DATE_EPOCH=… msi.sh VERSION EXE OUTDIR
#
# VERSION has three numbers, EXE is the program for Windows on amd64.
# THIRD_PARTY_LICENSES may name a file to install beside it. Needs wixl and
# msibuild (msitools). Equal input makes equal bytes.
set -eu

usage() {
	echo "msi.sh: $1; usage: SOURCE_DATE_EPOCH=… msi.sh VERSION EXE OUTDIR" >&2
	exit 2
}
[ $# -eq 3 ] || usage "3 arguments are wanted"
version=$1 exe=$2 out=$3
case $version in
*[!0-9.]* | *.*.*.* | *..* | .* | *.) usage "\"$version\" is not three numbers" ;;
*.*.*) ;;
*) usage "\"$version\" is not three numbers" ;;
esac
case ${SOURCE_DATE_EPOCH:-} in '' | *[!0-9]*) usage "SOURCE_DATE_EPOCH has to be the time of the release, in seconds" ;; esac
[ -f "$exe" ] || usage "there is no program $exe"
here=$(cd "$(dirname "$0")" && pwd)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$exe" "$work/taxii-forwarder.exe"
# Windows' own editors were slow to learn other line ends.
crlf() { sed 's/\r*$/\r/' "$1" >"$work/$2"; }
crlf "$here/../../LICENSE" LICENSE.txt
crlf "$here/../../config.example.hcl" config.example.hcl
crlf "$here/config.hcl" config.hcl
if [ -n "${THIRD_PARTY_LICENSES:-}" ]; then
	crlf "$THIRD_PARTY_LICENSES" THIRD_PARTY_LICENSES.txt
	cp "$here/taxii-forwarder.wxs" "$work/package.wxs"
else
	sed '/THIRD_PARTY_LICENSES/d' "$here/taxii-forwarder.wxs" >"$work/package.wxs"
fi
chmod 644 "$work"/*
touch -d "@$SOURCE_DATE_EPOCH" "$work"/*

# uuid NAME is a name-based UUID (RFC 9562, version 5) in the namespace of our
# upgrade code, except that it is computed from text.
uuid() {
	printf 'a975c957-1b6c-46aa-9391-3766acdcfb38 %s' "$1" | sha1sum |
		sed -E 's/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*/{\1-\2-5\3-8\4-\5}/' | tr a-f A-F
}
# Windows takes two packages of one code for the same file, so the code follows
# from the content.
content=$(cd "$work" && sha256sum -- * "$here/msi.sh" | sed 's/ .*//' | sha256sum)
product=$(uuid "product $version $content $SOURCE_DATE_EPOCH")
package=$(uuid "package $version $content $SOURCE_DATE_EPOCH")

msi=$work/out.msi
(cd "$work" && wixl --arch x64 -D "Version=$version" -D "ProductCode=$product" -o "$msi" package.wxs)

query() { msibuild "$msi" -q "$1"; }
# 64-bit (256), never overwrite (128), permanent (16): wixl knows only the first.
query "UPDATE \`Component\` SET \`Attributes\` = 400 WHERE \`Component\` = 'Configuration'"
# An equal version is an upgrade too (512): a pre-release has its release's.
upgrade=$(sed -n 's/.*UpgradeCode="\(.*\)".*/{\1}/p' "$here/taxii-forwarder.wxs")
query "DELETE FROM \`Upgrade\` WHERE \`ActionProperty\` = 'WIX_UPGRADE_DETECTED'"
query "INSERT INTO \`Upgrade\` (\`UpgradeCode\`, \`VersionMax\`, \`Attributes\`, \`ActionProperty\`) VALUES ('$upgrade', '$version', 513, 'WIX_UPGRADE_DETECTED')"
# Files without a version in the table do not replace files that have one.
query "UPDATE \`File\` SET \`Version\` = '$version.0', \`Language\` = '1033' WHERE \`File\` = 'Exe'"
query "DELETE FROM \`MsiFileHash\` WHERE \`File_\` = 'Exe'" # for files without a version
# The PATH, which this wixl has no element for.
query 'CREATE TABLE `Environment` (`Environment` CHAR(72) NOT NULL, `Name` CHAR(255) NOT NULL LOCALIZABLE, `Value` CHAR(255) LOCALIZABLE, `Component_` CHAR(72) NOT NULL PRIMARY KEY `Environment`)'
query "INSERT INTO \`Environment\` (\`Environment\`, \`Name\`, \`Value\`, \`Component_\`) VALUES ('Path', '=-*PATH', '[~];[INSTALLDIR]', 'Program')"
at() { query "UPDATE \`InstallExecuteSequence\` SET \`Sequence\` = $2 WHERE \`Action\` = '$1'"; }
query "INSERT INTO \`InstallExecuteSequence\` (\`Action\`, \`Sequence\`) VALUES ('RemoveEnvironmentStrings', 3300)"
query "INSERT INTO \`InstallExecuteSequence\` (\`Action\`, \`Sequence\`) VALUES ('WriteEnvironmentStrings', 5200)"
# The old version goes before the new one comes (wixl: when half of it is there).
at RemoveExistingProducts 1450
at RepairService 5850
at StartService 5950
msibuild "$msi" -s "TAXII Forwarder $version" "The taxii-forwarder authors" "x64;1033" "$package"
# wixl notes when it ran, twice: VT_FILETIME is 64, and 11644473600 s are from 1601
# to 1970 ([MS-OLEPS] 2.15, [MS-DTYP] 2.3.3).
perl -0777 -i -pe '
	BEGIN { $t = pack("VQ<", 64, ($ENV{SOURCE_DATE_EPOCH} + 11644473600) * 10000000) }
	$n = s/(?:\x40\0\0\0.{6}[\xd0-\xff]\x01){2}/$t$t/gs;
	END { exit($n != 1) }' "$msi"
mkdir -p "$out"
mv "$msi" "$out/taxii-forwarder_${version}_windows_amd64.msi"
echo "$out/taxii-forwarder_${version}_windows_amd64.msi"
