#!/bin/bash
# The service as packaged, under systemd: says on the console what works. Run by `cargo xtask test --debian`, as root, in a machine of its own.
#
# Everything is waited for by what is to be seen, for the machine is emulated and slow.

readonly CHECKS=(unit starts identity answers samples reload bad-reload bad-start watchdog killed stops kept profile by-root)
readonly CONFIG=/etc/waytrace/waytrace.toml UNIT=waytrace.service
readonly HISTORY=/var/lib/private/waytrace/history.db
# BPF, PERFMON, SYS_PTRACE, DAC_READ_SEARCH, CHECKPOINT_RESTORE.
readonly FIVE=000001c000080004
readonly ADMIN=000001c000280004

say() { echo "VM-TEST $*"; }
# Waits until a command succeeds, two minutes at most.
until_so() { for _ in $(seq 120); do "$@" && return; sleep 1; done >/dev/null 2>&1; return 1; }
main_pid() { systemctl show -p MainPID --value $UNIT; }
field() { awk -v name="$2:" '$1 == name { print $2 }' "/proc/$1/status"; }
metric() { curl -sf localhost:9477/metrics | grep -qE "$1"; }
logged() { journalctl -u $UNIT --no-pager | grep -qF "$1"; }
is_another() { local now; now=$(main_pid); [ "$now" != 0 ] && [ "$now" != "$1" ] && systemctl is-active -q $UNIT; }
older_than_6_6() { [ "$(printf '6.6\n%s' "$(uname -r)" | sort -V | head -1)" != 6.6 ]; }

unit() { [ -z "$(systemd-analyze verify /etc/systemd/system/$UNIT 2>&1 | tee /dev/stderr)" ]; }

starts() {
    systemctl start $UNIT && systemctl is-active -q $UNIT &&
        systemctl show -p StatusText --value $UNIT | grep watching
}

identity() {
    local pid expected=$FIVE; pid=$(main_pid)
    older_than_6_6 && expected=$ADMIN
    echo "user $(field "$pid" Uid), capabilities $(field "$pid" CapEff), seccomp $(field "$pid" Seccomp)"
    [ "$(field "$pid" Uid)" != 0 ] && [ "$(field "$pid" NoNewPrivs)" = 1 ] && [ "$(field "$pid" Seccomp)" = 2 ] &&
        for set in CapInh CapPrm CapEff CapBnd CapAmb; do [ "$(field "$pid" $set)" = $expected ] || return 1; done
}

answers() { until_so curl -sf localhost:9477/readyz && until_so metric '^waytrace_target_up\{target="redis"\} 1'; }

# Allocations, accesses and mappings of root's redis-server, by somebody who is not root.
samples() {
    until_so metric '^waytrace_target_alloc_bytes_total\{target="redis"\} [1-9]' &&
        until_so metric '^waytrace_target_access_samples_total\{target="redis"\} [1-9]' &&
        metric '^waytrace_collector_state\{collector="mappings",state="full"\} 1' && return
    curl -s localhost:9477/api/v1/windows | grep -oE '"absent":[^}]*}|"collectors":.*"loss"' | tr -d '"'
    return 1
}

reload() { systemctl reload $UNIT && until_so logged 'the configuration was read again'; }

spoil() { cp $CONFIG /tmp/good.toml; echo 'bad = 1' >>$CONFIG; }
mend() { cp /tmp/good.toml $CONFIG; }

bad-reload() {
    spoil
    systemctl reload $UNIT
    until_so logged 'the configuration stays as it was'
    local outcome=$?
    mend
    [ $outcome = 0 ] && systemctl is-active -q $UNIT
}

# Once, and not again and again.
bad-start() {
    spoil
    systemctl restart $UNIT
    local outcome=$?
    sleep 15
    local state restarts
    state=$(systemctl show -p ActiveState --value $UNIT) restarts=$(systemctl show -p NRestarts --value $UNIT)
    mend
    echo "$state, started again $restarts times"
    [ $outcome != 0 ] && [ "$state" = failed ] && [ "$restarts" = 0 ] && systemctl start $UNIT
}

watchdog() {
    local pid; pid=$(main_pid)
    kill -STOP "$pid" && until_so is_another "$pid" && logged 'Watchdog timeout'
}

killed() {
    local pid; pid=$(main_pid)
    systemctl kill -s KILL $UNIT && until_so is_another "$pid" && answers
}

stops() {
    systemctl stop $UNIT && [ "$(systemctl show -p Result --value $UNIT)" = success ] && ! pgrep -x waytrace
}

kept() { waytrace list --since 1h --db $HISTORY 2>&1 | grep '^redis '; }

profile() {
    waytrace profile --pid "$(pidof redis-server)" --duration 3 --exact 2>&1 | grep 'every call was seen'
}

# As Debian sets it, its kernels ask for more than what the unit has: who is root keeps that.
by-root() {
    sysctl -q kernel.perf_event_paranoid=3
    waytrace monitor --pid "$(pidof redis-server)" --window 2s --budget 50% --json >/tmp/windows 2>/tmp/complaints &
    local monitor=$! outcome
    until_so grep -qE '"alloc_bytes":[1-9]' /tmp/windows
    outcome=$?
    kill $monitor
    wait $monitor
    tail -2 /tmp/complaints
    return $outcome
}

say plan "${CHECKS[@]}"
echo "$(uname -r), $(systemctl --version | head -1)"
ln -sf /opt/waytrace /usr/bin/waytrace
mkdir -p /etc/waytrace
sed 's/^window = .*/window = "2s"/; s/^cpu_pct = .*/cpu_pct = 50.0/' /opt/waytrace.toml >$CONFIG
cp /opt/$UNIT /etc/systemd/system/
if older_than_6_6; then
    # As the unit says.
    mkdir -p /etc/systemd/system/$UNIT.d
    printf '[Service]\nCapabilityBoundingSet=CAP_SYS_ADMIN\nAmbientCapabilities=CAP_SYS_ADMIN\n' >/etc/systemd/system/$UNIT.d/old.conf
fi
cp /opt/waytrace.sysctl /etc/sysctl.d/50-waytrace.conf
sysctl -q --system
systemctl daemon-reload
systemctl start redis-server
until_so redis-cli ping
(while :; do redis-benchmark -q -t set,get -n 10000; sleep 0.2; done >/dev/null 2>&1) &
for check in "${CHECKS[@]}"; do
    if "$check" >/tmp/said 2>&1; then
        say "$check ok $(tail -1 /tmp/said)"
    else
        say "$check failed: $(tail -3 /tmp/said | tr '\n' ' ') $(journalctl -u $UNIT --no-pager -o cat | tail -3 | tr '\n' ' ')"
    fi
done
say end
