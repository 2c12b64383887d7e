#!/bin/sh
# Makes a test machine of the freshly unpacked Debian in $1: users, an automatic login on tty1, the agent.
set -eu
root=$1
here=$(dirname "$0")

echo tandem-test >"$root/etc/hostname"
printf '127.0.0.1 localhost tandem-test\n' >"$root/etc/hosts"
printf '/dev/vda / ext4 rw,noatime 0 1\n' >"$root/etc/fstab"
: >"$root/etc/machine-id"
rm -f "$root/etc/resolv.conf"
printf 'nameserver 127.0.0.1\n' >"$root/etc/resolv.conf"

# ann sits at the machine; ben has an account and no session
for user in ann ben; do
    chroot "$root" useradd --create-home --shell /bin/bash "$user"
    chroot "$root" passwd --quiet --delete "$user"
    chmod 0700 "$root/home/$user"
done
install -d "$root/etc/systemd/system/getty@tty1.service.d" "$root/etc/systemd/journald.conf.d" \
    "$root/usr/local/libexec" "$root/etc/systemd/system/multi-user.target.wants"
printf '[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin ann --noclear %%I linux\nTTYVTDisallocate=no\n' \
    >"$root/etc/systemd/system/getty@tty1.service.d/autologin.conf"
printf '[Journal]\nStorage=persistent\nSyncIntervalSec=5s\nRateLimitBurst=0\n' >"$root/etc/systemd/journald.conf.d/test.conf"
install -m 755 "$here/agent.py" "$root/usr/local/libexec/agent.py"
install -m 644 "$here/agent.service" "$root/etc/systemd/system/tandem-test-agent.service"
ln -sf /etc/systemd/system/tandem-test-agent.service "$root/etc/systemd/system/multi-user.target.wants/"
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer e2scrub_all.timer \
    e2scrub_reap.service systemd-timesyncd.service systemd-networkd.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
