#!/usr/bin/env bash
# Runs all checks and tests of sitrep, and installs what they need. Needs Go and, where a
# package is missing, apt-get. Run it from anywhere, without arguments:
#
#   ./test.sh
#
# With CI=true nothing is skipped: what cannot be run fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

golangci=github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
govulncheck=golang.org/x/vuln/cmd/govulncheck@v1.9.0

step() { printf '\n== %s\n' "$*"; }

root=()
[ "$(id -u)" = 0 ] || root=(sudo)

# packages PACKAGE…: installs Debian packages. No service that they bring is started, and
# nothing is removed or upgraded for them.
packages() {
  local policy=/usr/sbin/policy-rc.d status=0
  step "install $*"
  "${root[@]}" apt-get update -qq
  if [ -e "$policy" ]; then
    policy='' # the machine has one of its own
  else
    printf '#!/bin/sh\nexit 101\n' | "${root[@]}" install -m 755 /dev/stdin "$policy"
  fi
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends --no-remove --no-upgrade "$@" || status=$?
  [ -z "$policy" ] || "${root[@]}" rm "$policy"
  return "$status"
}

# needs PATTERN PACKAGE: notes a Debian package where no file of that pattern, or no program of that name, is there.
missing=()
needs() {
  command -v "$1" >/dev/null || compgen -G "$1" >/dev/null || missing+=("$2")
}

# exim: unpacks Debian's Exim into .cache, as its package and that of Postfix exclude each
# other, and installs the libraries that it needs.
exim() {
  local dir=.cache/exim program=.cache/exim/usr/sbin/exim4 libraries
  if [ ! -x "$program" ] || ldd "$program" | grep -q 'not found'; then
    rm -rf "$dir" .cache/exim.new
    mkdir -p .cache/exim.new
    "${root[@]}" apt-get update -qq
    (cd .cache/exim.new && apt-get download -qq exim4-daemon-light && dpkg-deb -x exim4-daemon-light_*.deb . && dpkg-deb -f exim4-daemon-light_*.deb Depends >depends)
    mapfile -t libraries < <(tr ',|' '\n\n' <.cache/exim.new/depends | sed 's/^ *//; s/ .*//' | grep '^lib')
    packages "${libraries[@]}"
    mv .cache/exim.new "$dir"
  fi
  # It does not start without its user.
  getent passwd Debian-exim >/dev/null ||
    "${root[@]}" useradd --system --user-group --home-dir /nonexistent --shell /usr/sbin/nologin Debian-exim
}

needs gcc gcc             # the race detector needs cgo
needs chromium chromium   # the pages are tested in a browser
needs python3 python3     # verifies an export as its own instructions say
needs '/usr/lib/postgresql/*/bin/initdb' postgresql # the other store; no server is started but those of tests
needs pgbouncer pgbouncer # a pooler of connections to it
needs openssl openssl     # makes tokens
needs ip iproute2         # a network that loses what is sent
needs zsh zsh             # completes commands, as bash does
needs prometheus prometheus # a chain that runs is followed; promtool tests the alert rules
needs /usr/sbin/nginx nginx # the proxy of a tutorial
needs /usr/sbin/haproxy haproxy # checks the load balancer of contrib
needs strace strace       # records what the store writes and syncs, for a test that cuts the power
needs /usr/lib/postfix/sbin/master postfix # a mail server as people run them
[ "${#missing[@]}" = 0 ] || packages "${missing[@]}"
exim # and another
export CGO_ENABLED=1

step go mod
go mod verify
go mod tidy -diff

step golangci-lint
go run "$golangci" run # with go vet, staticcheck and the formatters

step govulncheck
# Exit 3 is a vulnerability found. That the database cannot be reached is no fault of sitrep.
status=0
report=$(go run "$govulncheck" ./... 2>&1) || status=$?
printf '%s\n' "$report"
if [ "$status" != 0 ]; then
  if grep -q 'fetching vulnerabilities' <<<"$report"; then
    printf 'The vulnerability database cannot be reached: NOT checked for known vulnerabilities.\n'
  else
    exit "$status"
  fi
fi

step tests of contrib that have modules of their own
# They read files of other modules, which the cache does not look at.
for module in contrib/mixin contrib/test contrib/helm/test; do
  (cd "$module" && go mod tidy -diff && go test -count=1 ./...)
done

step build what tests run: Alertmanager, amtool and oauth2-proxy
mkdir -p .cache
(cd e2e/alertmanager && go build -o ../../.cache/alertmanager github.com/prometheus/alertmanager/cmd/alertmanager)
(cd e2e/alertmanager && go build -o ../../.cache/amtool github.com/prometheus/alertmanager/cmd/amtool)
(cd e2e/oauth2-proxy && go build -o ../../.cache/oauth2-proxy github.com/oauth2-proxy/oauth2-proxy/v7)

# The end-to-end tests come last and alone: they run many programs, and have times to keep. What go vet
# finds was found above.
step go test
# The race detector makes tests six times as slow. It looks at what many goroutines work on, but
# for the longest tests there, and those whose size or time is the point; what reads in one, what
# commands print, and what a browser sees, is run without it.
plain='^sitrep/(audit|chain|cli|config|contrib|demo|docs|simulate|templates|web|wording)$'
long=(
  # app
  TestSlowReadersHoldLittle TestEveryRoleOnEveryRoute
  # router
  TestADrillBeginsByTheClock TestADrillThatAPersonDeclaredCounts TestTwoReplicasAgreeWithTheirSenders TestSchedulesThatWentWrong
  TestSitrepAgreesWithItsSenders TestTenDaysOfUpdatesDoNotDrift TestOneReplicaDoesWhatOneHasToDo TestAnOutageIsWhenNoReplicaRan
  TestWhatIsOldGoesPieceByPiece TestTheEndIsGivenUpAfterThreeRefusals TestOneOfManyProcessesLetsTheCanaryFly TestACanaryThatIsTakenOutIsForgotten
  TestAClusterThatIsGoneIsGivenUp TestWhateverMessagesAreRefusedAllOthersArriveInTime TestAReloadReachesEveryIncident
  TestWhileAllAreRefusedAlikeItIsTheSetUp TestTeamsHearOnceThatMailDoesNotGoOut TestTheNextUpdateIsTheRealNextTry TestAPriorityThatInformsNobody
  TestWorstDayOfManyIncidents TestTheWatchdogIsAwayForAllReplicasAtOnce TestACanaryThatDoesNotComeBackIsKnown
  TestAnOutcomeAndWhatTheReaderWasToldAreOneCommit
  # router/email, router/webhook
  TestChatsTakeTheLongest TestNoMailIsCut
  # storage/bolt
  TestWhatWasAnsweredIsThereAfterAPowerCut TestALargeOlderStoreIsBroughtUpInPieces TestWhatWasDeletedIsForgotten TestASmallCommitIsSmallAfterMuchWasDeleted
  TestWhatIsFreshIsFound TestNoCommitWaitsForALongMerge TestAKillWhileCompactingLeavesAWholeStore TestAFlippedBitIsFoundOrDoesNoHarm
  TestAStoreThatIsNotCompactedIsAsItWas TestADamagedRunIsFoundByTheCheck TestACheckTellsHowFarItIs TestListsDoNotReadWhatTheyLeaveOut
  TestWhatFindsBreachesIsRebuilt
  # storage/postgres
  TestBigTablesAreNotScanned TestAClaimTouchesFewPages
)
long="^($(IFS='|' && printf '%s' "${long[*]}"))\$"
# Those that take longest come first, so that nobody waits for them in the end, and one package more
# than there are processors is tested at once, as many wait for servers.
atonce=$(($(nproc) + 1))
mapfile -t packages < <(go list ./... | grep -v -E -e '^sitrep/e2e' -e "$plain" -e '^sitrep/(router|app|storage/bolt|storage/postgres)$')
go test -race -vet=off -p "$atonce" -skip "$long" ./router ./storage/postgres ./storage/bolt ./app "${packages[@]}"
go test -vet=off -p "$atonce" ./web ./cli ./audit ./config ./templates ./wording ./demo ./docs ./chain ./contrib ./simulate
go test -vet=off -p "$atonce" -run "$long" ./router ./storage/postgres ./storage/bolt ./app ./router/email ./router/webhook

step end-to-end tests
# What runs there are programs, which are built without the race detector.
go test -vet=off -count=1 -timeout 10m ./e2e/...
