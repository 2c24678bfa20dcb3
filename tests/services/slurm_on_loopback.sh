#!/usr/bin/env bash
# A Slurm cluster of this one machine, for a test: munged, slurmctld and a slurmd for each node on loopback, with all
# that they write in one folder. Nothing of a cluster that is here already is touched, and nothing is left when it ends.
#
#   tests/services/slurm_on_loopback.sh COMMAND …     starts it, runs the command with it, and stops it
#   NODES=2 tests/services/slurm_on_loopback.sh COMMAND …     with two nodes, node1 and node2, each with its slurmd
#
# Needs root, as slurmd does, and Debian's packages, which it installs where they are missing: slurmctld, slurmd,
# slurm-client, munge. Works without systemd and control groups: processes are tracked by /proc, memory is not enforced.
set -euo pipefail

if ! command -v slurmctld slurmd sbatch munged > /dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client munge > /dev/null
fi

folder=$(mktemp -d)
pids=()
stop() {
    scancel --full --signal=KILL --user="$(id -un)" 2> /dev/null || true
    for _ in $(seq 50); do [ -z "$(squeue --noheader 2> /dev/null)" ] && break; sleep 0.1; done
    for pid in "${pids[@]}"; do kill "$pid" 2> /dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2> /dev/null || true; done
    rm -rf "$folder"
}
trap stop EXIT

chmod 755 "$folder"
mkdir -m 700 "$folder/key" "$folder/seed"
mkdir -m 755 "$folder/munge" "$folder/state" "$folder/spool"
head -c 128 /dev/urandom > "$folder/key/munge.key"
chmod 400 "$folder/key/munge.key"
munged --foreground --force --key-file="$folder/key/munge.key" --seed-file="$folder/seed/seed" --socket="$folder/munge/socket" \
    --pid-file="$folder/munge/pid" --log-file="$folder/munge/log" > "$folder/munged.log" 2>&1 &
pids+=($!)

host=$(hostname -s)
number=${NODES:-1}
if [ "$number" = 1 ]; then names=("$host"); else names=($(seq -f node%g "$number")); fi
ports=($(python3 -c '
import socket, sys
open_sockets = [socket.socket() for _ in range(1 + int(sys.argv[1]))]
for each in open_sockets: each.bind(("127.0.0.1", 0))
print(*(each.getsockname()[1] for each in open_sockets))' "$number"))
cat > "$folder/slurm.conf" <<END
ClusterName=loopback
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=${ports[0]}
SlurmUser=root
AuthInfo=socket=$folder/munge/socket,cred_expire=10
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool/%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1
MpiDefault=none
ReturnToService=2
KillWait=15
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
for at in "${!names[@]}"; do
    echo "NodeName=${names[at]} NodeHostname=$host NodeAddr=127.0.0.1 Port=${ports[at + 1]} CPUs=$(nproc) RealMemory=1000 State=UNKNOWN"
done >> "$folder/slurm.conf"
export SLURM_CONF=$folder/slurm.conf
for _ in $(seq 100); do [ -S "$folder/munge/socket" ] && break; sleep 0.1; done
slurmctld -D -c > "$folder/slurmctld.out" 2>&1 &
pids+=($!)
for name in "${names[@]}"; do
    slurmd -D -N "$name" > "$folder/slurmd.$name.out" 2>&1 &
    pids+=($!)
done
idle() { [ "$(sinfo --noheader --Node --format=%T 2> /dev/null | grep -c idle)" = "$number" ]; }
for _ in $(seq 300); do
    idle && break
    sleep 0.2
done
if ! idle; then
    tail -n 20 "$folder"/*.log >&2
    echo "Slurm did not start." >&2
    exit 1
fi
"$@"
