#!/bin/sh
# Plugs in and pulls an MTP player: Debian's umtprd on one of the kernel's dummy controllers, in the same machine.
#   umtp_player.sh plug NUMBER SERIAL NAME STORE      NUMBER (0 to 7) names the player and its controller
#   umtp_player.sh unplug NUMBER
# STORE is what the player holds, a directory that is there. It touches no gadget but its own.
set -eu
action=$1 number=$2
gadget=/sys/kernel/config/usb_gadget/player$number
place=/run/umtp/$number
unit=umtp-player-$number

plug() {
    serial=$1 name=$2 store=$3
    modprobe -a libcomposite usb_f_fs
    modprobe dummy_hcd num=8
    mkdir "$gadget"
    cd "$gadget"
    echo 0x1d6b >idVendor
    echo 0x0100 >idProduct
    mkdir strings/0x409 configs/c.1 functions/ffs.player"$number"
    echo "$serial" >strings/0x409/serialnumber
    echo Viveris >strings/0x409/manufacturer
    echo "$name" >strings/0x409/product
    ln -s functions/ffs.player"$number" configs/c.1/
    mkdir -p "$place/usb"
    mount -t functionfs player"$number" "$place/usb"
    cat >"$place/umtprd.conf" <<END
loop_on_disconnect 1
storage "$store" "$name" "rw"
manufacturer "Viveris"
product "$name"
serial "$serial"
firmware_version "1"
interface "MTP"
usb_vendor_id 0x1D6B
usb_product_id 0x0100
usb_class 0x6
usb_subclass 0x1
usb_protocol 0x1
usb_dev_version 0x3008
usb_functionfs_mode 0x1
usb_dev_path "$place/usb/ep0"
usb_epin_path "$place/usb/ep1"
usb_epout_path "$place/usb/ep2"
usb_epint_path "$place/usb/ep3"
usb_max_packet_size 0x200
no_inotify 1
END
    systemd-run --quiet --collect --unit="$unit" umtprd -conf "$place/umtprd.conf"
    # the endpoints are there when umtprd has told its descriptors; only then can the gadget be plugged in
    tries=100
    until [ -e "$place/usb/ep3" ]; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || { journalctl --no-pager -o cat -u "$unit" >&2; exit 1; }
        sleep 0.1
    done
    echo dummy_udc."$number" >UDC
}

unplug() {
    # the cable first: the responder is still there when the host loses it
    echo >"$gadget/UDC"
    systemctl stop "$unit"
    umount "$place/usb"
    cd "$gadget"
    rm configs/c.1/ffs.player"$number"
    rmdir functions/ffs.player"$number" configs/c.1 strings/0x409
    cd /
    rmdir "$gadget"
    rm -r "$place"
}

shift 2
"$action" "$@"
