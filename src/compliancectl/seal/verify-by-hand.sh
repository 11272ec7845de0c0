# Usage: sh verify-by-hand.sh BUNDLE-FOLDER TRUSTED-KEY.pub.pem [TRUSTED-TIME-STAMP-AUTHORITY.pem]
# Needs coreutils, find, grep, sed and openssl. Prints VERIFIED and exits 0, or says what is wrong and exits 4.
(
set -eu
LC_ALL=C; export LC_ALL; unset CDPATH
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
fail() { echo "DOES NOT VERIFY: $*" >&2; exit 4; }
same() { one=$(sha256sum < "$1") && two=$(sha256sum < "$2") && [ "$one" = "$two" ]; }
none() { if [ -s "$1" ]; then echo "$2:" >&2; cat -- "$1" >&2; fail "$2"; fi; }

cp -- "$2" "$work/key.pem" || fail "the trusted key cannot be read"
if [ $# -ge 3 ]; then cp -- "$3" "$work/authority.pem" || fail "the authority's certificate cannot be read"; fi
cd -- "$1" || fail "no such folder"

# 1. Plain files and folders only, with plain names.
find . ! -type f ! -type d > "$work/odd" || fail "the folder cannot be listed"
none "$work/odd" "links or devices"
find . ! -name . \( -name '*[!A-Za-z0-9._-]*' -o -name '[!A-Za-z0-9]*' \) > "$work/odd" || fail "the folder cannot be listed"
none "$work/odd" "names that no bundle has"

# 2. SHA256SUMS is well formed, and lists exactly the files that are here.
status=0; grep -v -x -E '[0-9a-f]{64}  [A-Za-z0-9][A-Za-z0-9._/-]*' SHA256SUMS > "$work/odd" || status=$?
[ "$status" -eq 1 ] || fail "SHA256SUMS is not a list of digests and names"
sed 's/^.\{66\}//' SHA256SUMS > "$work/listed" || fail "SHA256SUMS cannot be read"
sort -c -u "$work/listed" || fail "SHA256SUMS is not sorted, or lists a file twice"
find . -type f ! -path ./SHA256SUMS ! -path './seal/*' > "$work/found" || fail "the folder cannot be listed"
sed 's/^..//' "$work/found" > "$work/names" || fail "the folder cannot be listed"
sort "$work/names" > "$work/present" || fail "the folder cannot be listed"
same "$work/listed" "$work/present" || { comm -3 "$work/listed" "$work/present" >&2 || true; fail "files deleted (above, to the left), added (indented) or renamed"; }
find seal -type f ! -path 'seal/timestamps/[0-9][0-9].tsr' ! -path 'seal/countersign/*' ! -path 'seal/identities/*' > "$work/found" || fail "there is no seal"
sort "$work/found" > "$work/present" || fail "there is no seal"
printf 'seal/%s\n' evidence.intoto.jsonl signer.pub.pem statement.json statement.pae statement.sig > "$work/listed"
same "$work/listed" "$work/present" || fail "the seal has a file too many or too few"

# 3. The signature was made with the key that you trust (not with the one in the bundle), and names that key.
openssl dgst -sha256 -verify "$work/key.pem" -signature seal/statement.sig seal/statement.pae > "$work/out" 2>&1 \
  || fail "the signature is not by the trusted key over this statement"
openssl pkey -pubin -in "$work/key.pem" -outform DER -out "$work/key.der" || fail "the trusted key is not a public key"
openssl pkey -pubin -in seal/signer.pub.pem -outform DER -out "$work/signer.der" || fail "signer.pub.pem is not a public key"
same "$work/key.der" "$work/signer.der" || fail "signer.pub.pem is not the trusted key"

# Countersignatures: each by the key beside it, and not the signer's own. Whose keys they are, you must know.
: > "$work/found"; if [ -e seal/countersign ]; then find seal/countersign -type f > "$work/found" || fail "the seal cannot be listed"; fi
sed -n 's/\.sig$//p' "$work/found" | sort > "$work/signed"
sed -n 's/\.pub\.pem$//p' "$work/found" | sort > "$work/keys"
{ same "$work/signed" "$work/keys" && [ "$(wc -l < "$work/found")" -eq $((2 * $(wc -l < "$work/signed"))) ]; } \
  || fail "a countersignature without its key, or something else beside them"
while read -r theirs; do
  openssl dgst -sha256 -verify "$theirs.pub.pem" -signature "$theirs.sig" seal/statement.pae > "$work/out" 2>&1 \
    || fail "$theirs.sig is not by its key over this statement"
  openssl pkey -pubin -in "$theirs.pub.pem" -outform DER -out "$work/one.der" || fail "$theirs.pub.pem is not a public key"
  id=$(sha256sum < "$work/one.der") || fail "the key cannot be hashed"
  [ "$theirs" = "seal/countersign/${id%% *}" ] || fail "$theirs.pub.pem is not the key that its name says"
  if same "$work/one.der" "$work/key.der"; then fail "the signer's own key countersigns nothing"; fi
  echo "countersigned by the key ${id%% *}"
done < "$work/signed"

# Whose a key was that was made for this one signature. To check that takes more than openssl: cosign, or compliancectl.
: > "$work/found"; if [ -e seal/identities ]; then find seal/identities -type f > "$work/found" || fail "the seal cannot be listed"; fi
while read -r whose; do
  id=${whose#seal/identities/}; id=${id%.sigstore.json}
  [ "$whose" = "seal/identities/$id.sigstore.json" ] || fail "something else lies beside the identities"
  openssl pkey -pubin -in seal/signer.pub.pem -outform DER | sha256sum > "$work/one" || fail "the key cannot be hashed"
  if ! grep -q -x -e "$id  -" "$work/one" && ! grep -q -x -e "seal/countersign/$id" "$work/signed"; then
    fail "$whose is about a key that signed nothing here"
  fi
  echo "NOT CHECKED: $whose"
done < "$work/found"

# Time stamps, if you named an authority: one by it must be over this signature. Its certificate counts as of then.
if [ -e "$work/authority.pem" ]; then
  stamped=
  for stamp in seal/timestamps/*.tsr; do
    openssl ts -reply -in "$stamp" -text > "$work/text" 2> "$work/out" || fail "there is no time stamp, or it cannot be read"
    time=$(sed -n 's/^Time stamp: //p' "$work/text"); epoch=$(date -u -d "$time" +%s) || fail "$stamp has no time"
    if openssl ts -verify -in "$stamp" -data seal/statement.sig -CAfile "$work/authority.pem" -attime "$epoch" > "$work/out" 2>&1; then
      stamped=$time; echo "sealed by $time at the latest"
    fi
  done
  [ -n "$stamped" ] || fail "no time stamp over this signature is by that authority"
fi

# 4. What was signed is statement.json, and the envelope says the same.
size=$(wc -c < seal/statement.json) || fail "statement.json cannot be read"
{ printf 'DSSEv1 28 application/vnd.in-toto+json %d ' "$size" && cat seal/statement.json; } > "$work/pae" || fail "statement.json cannot be read"
same "$work/pae" seal/statement.pae || fail "statement.json is not what was signed"
payload=$(openssl base64 -A -in seal/statement.json) || fail "statement.json cannot be read"
signature=$(openssl base64 -A -in seal/statement.sig) || fail "statement.sig cannot be read"
keyid=$(sha256sum < "$work/key.der") || fail "the key cannot be hashed"
printf '{"payload":"%s","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"%s","sig":"%s"}]}\n' \
  "$payload" "${keyid%% *}" "$signature" > "$work/envelope"
same "$work/envelope" seal/evidence.intoto.jsonl || fail "evidence.intoto.jsonl is not the envelope of this statement"

# 5. The statement is about this SHA256SUMS.
digest=$(sha256sum < SHA256SUMS) || fail "SHA256SUMS cannot be hashed"
statement=$(cat seal/statement.json) || fail "statement.json cannot be read"
case $statement in
  '{"_type":"https://in-toto.io/Statement/v1",'*',"predicateType":"https://compliancectl.dev/attestation/evidence-bundle/v1","subject":[{"digest":{"sha256":"'"${digest%% *}"'"},"name":"SHA256SUMS"}]}') ;;
  *) fail "the statement is about another SHA256SUMS" ;;
esac

# 6. Every file is the one that is listed.
sha256sum --check --strict --quiet SHA256SUMS || fail "a file was altered"
echo "VERIFIED: every file is as the holder of this key sealed it."
)
