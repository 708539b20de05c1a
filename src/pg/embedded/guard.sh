# Runs a command so that it does not outlive the process that holds our standard input.
#
#   sh -c '<this>' guard SIGNAL FOLDER COMMAND [ARGUMENT ...]
#
# A watcher reads standard input, which is a pipe from the loader. A line means that the command
# was waited for and there is nothing left to do. End of file means that the loader is gone, be it
# by SIGKILL: the watcher sends SIGNAL to the command, waits for its end and removes FOLDER.
#
# The command replaces this shell, so the loader's child is the command itself. The watcher is
# forked twice: it must not be a child of the postmaster, which reaps what it does not know. It
# keeps none of the command's files open and the command does not hold the pipe.
signal=$1 folder=$2 pid=$$
shift 2
# An asynchronous list gets /dev/null as its standard input; the pipe needs another number.
exec 3<&0
(
    (
        trap '' HUP INT QUIT TERM
        if read -r line; then exit; fi
        kill -s "$signal" "$pid"
        while kill -0 "$pid"; do
            # In a container whose first process does not reap, the ended command stays a zombie.
            if read -r number name state rest <"/proc/$pid/stat" && [ "$state" = Z ]; then break; fi
            sleep 0.1 || sleep 1
        done
        rm -rf -- "$folder"
    ) <&3 3<&- >/dev/null 2>&1 &
)
exec "$@" </dev/null 3<&-
