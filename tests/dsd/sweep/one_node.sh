#!/usr/bin/env bash
# A Slurm cluster of this machine alone, for tests, as root: one_node.sh start FOLDER | stop FOLDER.
# It listens on loopback, keeps everything in FOLDER, and ends no process but its own.
set -euo pipefail
folder=$(realpath -m "${2:?a folder for its state}")
export SLURM_CONF=$folder/slurm.conf

start() {
  command -v slurmctld munged >/dev/null || {
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq slurm-wlm munge >/dev/null
  }
  local node
  node=$(hostname -s)
  install -d -m 755 "$folder" "$folder/control" "$folder/node" "$folder/munge"
  dd if=/dev/urandom of="$folder/munge/key" bs=128 count=1 status=none
  chmod 400 "$folder/munge/key"
  cat >"$SLURM_CONF" <<CONF
ClusterName=test
SlurmctldHost=$node(127.0.0.1)
SlurmctldPort=${CONTROL_PORT:-16817}
SlurmdPort=${NODE_PORT:-16818}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
CredType=cred/munge
StateSaveLocation=$folder/control
SlurmdSpoolDir=$folder/node
SlurmctldPidFile=$folder/control.pid
SlurmdPidFile=$folder/node.pid
SlurmctldLogFile=$folder/control.log
SlurmdLogFile=$folder/node.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=1,sched_interval=2,requeue_delay=1
MinJobAge=3600
JobRequeue=1
KillWait=60
NodeName=$node NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes=$node Default=YES MaxTime=INFINITE OverSubscribe=FORCE:2 State=UP
CONF
  munged --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" \
    --pid-file="$folder/munge/pid" --seed-file="$folder/munge/seed" --log-file="$folder/munge/log"
  slurmctld
  slurmd
  for _ in $(seq 60); do
    sinfo --noheader --format=%T 2>/dev/null | grep -q '^idle' && return
    sleep 1
  done
  tail -n 5 "$folder"/control.log "$folder"/node.log >&2
  echo "the node is not idle after a minute" >&2
  return 1
}

stop() {
  for file in node.pid control.pid munge/pid; do
    [ ! -f "$folder/$file" ] || kill "$(cat "$folder/$file")" || true
  done
}

"${1:?start or stop}"
