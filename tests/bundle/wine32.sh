#!/bin/sh
# Wine for 32 bit, in a folder with a Debian i386 of its own, so that the system that runs the tests stays as it is.
#
#   wine32.sh make TREE                            makes it (as root; Debian's debootstrap)
#   wine32.sh run TREE FOLDER PROGRAM [ARGUMENT]…  runs a program of wine's there, with FOLDER as its current one (as root)
set -eu

case "$1" in
  make)
    # One that was interrupted is no tree; what debootstrap has mounted in it is not ours to remove.
    rm -rf --one-file-system "$2" "$2.new"
    debootstrap --arch=i386 --variant=minbase --include=wine32 bookworm "$2.new"
    mv "$2.new" "$2"
    ;;
  run)
    tree=$2 folder=$3
    shift 3
    # What is mounted is gone with the last process inside.
    export tree folder WINEPREFIX=/mnt/windows WINEARCH=win32 HOME=/root PATH=/usr/lib/wine:/usr/sbin:/usr/bin:/sbin:/bin
    exec unshare --mount sh -eu -c '
      mount --rbind /proc "$tree/proc"
      mount --rbind /dev "$tree/dev"
      mount --bind "$folder" "$tree/mnt"
      exec chroot "$tree" /bin/sh -eu -c "cd /mnt; exec \"\$@\"" sh "$@"' sh "$@"
    ;;
  *)
    sed -n "2,5p" "$0"
    exit 2
    ;;
esac
