//! A made-up directory: the same for the same seed, with the names that break software. Tests compare what was read with
//! these values, so nothing here uses the code under test.

use std::fmt::Write as _;

/// Where everything is.
pub const BASE: &str = "dc=example,dc=org";

/// A deterministic generator (SplitMix64).
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            a >> 32,
            a >> 16 & 0xffff,
            a & 0xfff,
            b >> 48 & 0xfff,
            b & 0xffff_ffff_ffff
        )
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub uuid: String,
    pub dn: String,
    pub uid: String,
    pub cn: String,
    pub given_name: String,
    pub surname: String,
    pub display_name: String,
    /// Some people have none.
    pub mail: Option<String>,
    pub employee_number: String,
    pub department: String,
    pub title: String,
    pub telephone: String,
    pub city: String,
    /// `pwdAccountLockedTime: 000001010000Z`.
    pub locked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Member {
    Person(usize),
    Group(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupKind {
    /// `groupOfNames`, `member`.
    Names,
    /// `groupOfUniqueNames`, `uniqueMember`.
    UniqueNames,
    /// `posixGroup`, `memberUid`: people only.
    Posix,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub uuid: String,
    pub dn: String,
    pub cn: String,
    pub kind: GroupKind,
    /// Without duplicates.
    pub members: Vec<Member>,
}

#[derive(Debug, Clone, Default)]
pub struct Directory {
    pub people: Vec<Person>,
    pub groups: Vec<Group>,
}

const GIVEN: &[&str] = &[
    "Anna",
    "Jürgen",
    "Zoë",
    "Łukasz",
    "Иван",
    "Мария",
    "美咲",
    "伟",
    "D'Arcy",
    "Jean-Luc",
    "Ñuño",
    "Þórunn",
    "Oğuz",
    "Σοφία",
    "أمل",
];
const FAMILY: &[&str] = &[
    "Smith",
    "Müller",
    "O'Brien",
    "Lučić",
    "Петров",
    "田中",
    "王",
    "Nguyễn",
    "van der Berg",
    "Ångström",
    "Doe, Jr.",
    "St. John",
    "Garc\u{69}\u{301}a",
    "Çelik",
    "#Hash",
    "Plus+One",
    "Quote\"d",
    "Back\\slash",
    "Semi;colon",
    "Less<More>",
];
const DEPARTMENTS: &[&str] = &["Sales", "IT", "Räumlichkeiten", "R&D", "Доставка"];
const TITLES: &[&str] = &["Manager", "Chef de cuisine", "Ingenjör", "Temp", "Head of \"Things\""];
const CITIES: &[&str] = &["København", "Praha", "Łódź", "東京", "San José"];

impl Directory {
    /// People, and groups that share `memberships` memberships. From two groups on, some are nested; from three on there
    /// is a cycle (the first two hold each other).
    pub fn generate(seed: u64, people: usize, groups: usize, memberships: usize) -> Self {
        let mut random = Random(seed);
        let people: Vec<Person> = (0..people).map(|i| person(&mut random, i)).collect();
        let mut groups: Vec<Group> = (0..groups).map(|i| group(&mut random, i)).collect();
        let count = groups.len();
        for (i, group) in groups.iter_mut().enumerate() {
            let share = memberships / count + usize::from(i < memberships % count);
            let start = random.below(people.len());
            // People in a row from a random place: no duplicates, cheap at any size.
            group.members.extend((0..share.min(people.len())).map(|n| Member::Person((start + n) % people.len())));
            if group.kind == GroupKind::Names && i >= 2 && i % 3 == 2 {
                group.members.push(Member::Group(i - 1));
            }
        }
        if count >= 3 {
            groups[0].members.push(Member::Group(1));
            groups[1].members.push(Member::Group(0));
        }
        // groupOfNames must have a member.
        for (i, group) in groups.iter_mut().enumerate() {
            if group.members.is_empty() && group.kind != GroupKind::Posix {
                group.members.push(Member::Group(i));
            }
        }
        Self { people, groups }
    }

    /// All of it as LDIF for `slapadd`, the suffix entry and two containers first.
    pub fn to_ldif(&self) -> String {
        let mut out = String::with_capacity(self.people.len() * 700 + self.groups.len() * 400);
        out.push_str("dn: dc=example,dc=org\nobjectClass: organization\nobjectClass: dcObject\no: Example\ndc: example\n\n");
        for ou in ["people", "groups"] {
            write!(out, "dn: ou={ou},{BASE}\nobjectClass: organizationalUnit\nou: {ou}\n\n").unwrap();
        }
        self.people.iter().for_each(|p| p.write(&mut out));
        self.groups.iter().for_each(|g| g.write(self, &mut out));
        out
    }

    /// The DN of a member.
    pub fn dn(&self, member: Member) -> &str {
        match member {
            Member::Person(i) => &self.people[i].dn,
            Member::Group(i) => &self.groups[i].dn,
        }
    }
}

fn person(random: &mut Random, i: usize) -> Person {
    let (given, family) = (random.pick(GIVEN), random.pick(FAMILY));
    let uid = format!("u{i:07}");
    let cn = format!("{given} {family}");
    // Most are named by uid; some by a cn that needs escapes.
    let dn = match i % 7 {
        3 => format!("cn={}\\20{i},ou=people,{BASE}", escape(&cn)),
        5 => format!("cn={}+uid={uid},ou=people,{BASE}", escape(&cn)),
        _ => format!("uid={uid},ou=people,{BASE}"),
    };
    Person {
        uuid: random.uuid(),
        dn,
        cn: if i % 7 == 3 { format!("{cn} {i}") } else { cn.clone() },
        given_name: given.to_owned(),
        surname: family.to_owned(),
        display_name: format!("{cn} ({})", i % 10),
        mail: (i % 20 != 19).then(|| format!("{uid}@example.org")),
        employee_number: format!("{}", 100_000 + i),
        department: random.pick(DEPARTMENTS).to_owned(),
        title: random.pick(TITLES).to_owned(),
        telephone: format!("+45 {:08}", random.below(100_000_000)),
        city: random.pick(CITIES).to_owned(),
        locked: i % 50 == 49,
        uid,
    }
}

fn group(random: &mut Random, i: usize) -> Group {
    let name = match i % 4 {
        1 => format!("Team, {} {i}", random.pick(FAMILY)),
        2 => format!("Отдел {i}"),
        _ => format!("app-group-{i}"),
    };
    let kind = match i % 6 {
        4 => GroupKind::UniqueNames,
        5 => GroupKind::Posix,
        _ => GroupKind::Names,
    };
    let dn = format!("cn={},ou=groups,{BASE}", escape(&name));
    Group { uuid: random.uuid(), dn, cn: name, kind, members: Vec::new() }
}

impl Person {
    fn write(&self, out: &mut String) {
        line(out, "dn", &self.dn);
        out.push_str("objectClass: inetOrgPerson\n");
        let pairs = [
            ("uid", &self.uid),
            ("cn", &self.cn),
            ("sn", &self.surname),
            ("givenName", &self.given_name),
            ("displayName", &self.display_name),
            ("employeeNumber", &self.employee_number),
            ("departmentNumber", &self.department),
            ("title", &self.title),
            ("telephoneNumber", &self.telephone),
            ("l", &self.city),
            ("entryUUID", &self.uuid),
        ];
        pairs.iter().for_each(|(name, value)| line(out, name, value));
        if let Some(mail) = &self.mail {
            line(out, "mail", mail);
        }
        if self.locked {
            line(out, "pwdAccountLockedTime", "000001010000Z");
        }
        out.push('\n');
    }
}

impl Group {
    fn write(&self, directory: &Directory, out: &mut String) {
        line(out, "dn", &self.dn);
        line(out, "cn", &self.cn);
        line(out, "entryUUID", &self.uuid);
        match self.kind {
            GroupKind::Names => out.push_str("objectClass: groupOfNames\n"),
            GroupKind::UniqueNames => out.push_str("objectClass: groupOfUniqueNames\n"),
            GroupKind::Posix => out.push_str("objectClass: posixGroup\ngidNumber: 1000\n"),
        }
        for member in &self.members {
            match (self.kind, member) {
                (GroupKind::Names, m) => line(out, "member", directory.dn(*m)),
                (GroupKind::UniqueNames, m) => line(out, "uniqueMember", directory.dn(*m)),
                (GroupKind::Posix, Member::Person(i)) => line(out, "memberUid", &directory.people[*i].uid),
                (GroupKind::Posix, Member::Group(_)) => {}
            }
        }
        out.push('\n');
    }
}

/// A value as it stands in a DN (RFC 4514 section 2.4).
pub fn escape(value: &str) -> String {
    let mut out = String::new();
    for (i, c) in value.chars().enumerate() {
        if matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';') || (i == 0 && c == '#') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// One line of LDIF (RFC 2849): base64 where the value needs it.
fn line(out: &mut String, name: &str, value: &str) {
    use base64::Engine as _;
    let safe = value.is_ascii() && !value.starts_with([' ', ':', '<']) && !value.ends_with(' ') && !value.contains(['\n', '\r']);
    if safe {
        writeln!(out, "{name}: {value}").unwrap();
    } else {
        writeln!(out, "{name}:: {}", base64::engine::general_purpose::STANDARD.encode(value)).unwrap();
    }
}
