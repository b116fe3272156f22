//! Plans applied to an API server that refuses.

use super::*;
use crate::{
    controller::{
        decide::world::{UID, World},
        server::Server,
        writer,
    },
    rollout::fixtures::{NAME, NAMESPACE, pushed},
};

/// What an [`Applier`] needs.
pub struct Desk {
    writer: Writer,
    pub caches: Caches,
    ledger: Ledger,
    owner: Owner,
}

impl Desk {
    pub async fn new(server: &Server) -> Self {
        let writer = writer::tests::writer(server).await;
        let owner = Owner { namespace: NAMESPACE.into(), name: NAME.into(), uid: UID.into() };
        Self { writer, caches: Caches::default(), ledger: Ledger::default(), owner }
    }

    pub fn applier(&self) -> Applier<'_> {
        let Self { writer, caches, ledger, owner } = self;
        Applier { writer, caches, ledger, owner, generation: 1 }
    }
}

/// As the API server has a child that looks so.
pub fn live(child: &Child, mut object: Value) -> Live {
    object["metadata"]["uid"] = json!("made");
    object["metadata"]["resourceVersion"] = json!("1");
    Live::of(child.kind, serde_json::from_value(object).unwrap())
}

pub fn count(server: &Server, plural: &str) -> usize {
    server.writes().iter().filter(|(_, written, ..)| written == plural).count()
}

pub fn first_version() -> Plan {
    let mut world = World::new(json!({}));
    world.push(pushed(1));
    world.plan()
}

#[tokio::test]
async fn a_template_that_could_not_be_stored_is_not_rolled_out() {
    for code in [403, 409, 422, 429, 500] {
        let server = Server::default();
        let (desk, plan) = (Desk::new(&server).await, first_version());
        server.refuse("controllerrevisions", code, 0..1);
        let applied = desk.applier().apply(&plan).await.unwrap();
        assert_eq!(applied.obstacles.len(), 1, "{:?}", applied.obstacles);
        assert_eq!((count(&server, "controllerrevisions"), count(&server, "deployments")), (1, 0), "{code}");
        assert_eq!(count(&server, "services"), 2, "the others are written all the same");
    }
}

#[tokio::test]
async fn a_template_that_is_stored_is_rolled_out_whatever_else_is_refused() {
    let server = Server::default();
    let (desk, plan) = (Desk::new(&server).await, first_version());
    server.refuse("services", 409, 0..2);
    let applied = desk.applier().apply(&plan).await.unwrap();
    assert_eq!((applied.obstacles.len(), count(&server, "deployments")), (2, 1), "{:?}", applied.obstacles);
    // It is there, and somebody else has changed it: that can wait.
    let server = Server::default();
    let desk = Desk::new(&server).await;
    let revision = &plan.workload.as_ref().unwrap().revision;
    let mut changed = revision.whole().into_owned();
    changed["revision"] = json!(7);
    desk.caches.children(ChildKind::ControllerRevision).wrote(live(revision, changed));
    server.refuse("controllerrevisions", 409, 0..1);
    let applied = desk.applier().apply(&plan).await.unwrap();
    assert_eq!((applied.obstacles.len(), count(&server, "deployments")), (1, 1), "{:?}", applied.obstacles);
}

#[test]
fn files_that_others_put_into_a_config_map_of_ours_are_taken_out() {
    let settings = first_version().settings.unwrap();
    let mut object = settings.whole().into_owned();
    assert_eq!(surplus(&settings, &live(&settings, object.clone())), None);
    object["data"]["os.py"] = json!("");
    object["binaryData"] = json!({"json.pyc": "AAAA"});
    let theirs = json!({"data": {"os.py": null}, "binaryData": {"json.pyc": null}});
    assert_eq!(surplus(&settings, &live(&settings, object)), Some(theirs));
}

/// A child that has lost its owner, as whoever restored it has left it.
fn orphan(child: &Child) -> Value {
    let mut object = child.whole().into_owned();
    object["metadata"]["uid"] = json!("made");
    object["metadata"].as_object_mut().unwrap().remove("ownerReferences");
    object["metadata"]["managedFields"] = json!([
        {"manager": "modelship", "operation": "Apply", "fieldsV1": {}},
        {"manager": "restorer", "operation": "Update", "fieldsV1": {}},
    ]);
    object
}

#[tokio::test]
async fn an_object_that_changes_while_it_is_taken_back_is_read_anew_and_is_no_trouble() {
    // Refused of the writes that follow the one that gives it its owner back.
    for (refused, written) in [(0, 1), (2, 3), (3, 3)] {
        let server = Server::default();
        let (desk, service) = (Desk::new(&server).await, first_version().service);
        server.put("services", orphan(&service));
        server.refuse("services", 409, 1..1 + refused);
        let mut applied = Applied::default();
        desk.applier().settle(&service, &live(&service, orphan(&service)), &mut applied).await.unwrap();
        assert_eq!((applied.adopted.len(), &applied.obstacles[..]), (1, &[][..]));
        assert_eq!(count(&server, "services"), 1 + written, "{refused} refused");
    }
}

#[tokio::test]
async fn a_service_is_taken_back_with_its_port_on_another_number() {
    let server = Server::default();
    let (desk, service) = (Desk::new(&server).await, first_version().service);
    let mut object = orphan(&service);
    object["spec"]["ports"][0]["port"] = json!(8000);
    server.put("services", object.clone());
    // Two ports of one name, as server-side apply would merge them.
    server.refuse("services", 422, 0..1);
    let mut applied = Applied::default();
    desk.applier().settle(&service, &live(&service, object), &mut applied).await.unwrap();
    assert_eq!((applied.adopted.len(), &applied.obstacles[..]), (1, &[][..]));
    let (.., replaced) = &server.writes()[1];
    assert_eq!(replaced, &json!({"spec": {"ports": service.body["spec"]["ports"]}}));
}

#[tokio::test]
async fn a_strategy_that_excludes_ours_is_replaced_and_told_as_put_back() {
    let server = Server::default();
    let mut world = World::new(json!({"rollout": {"strategy": "Recreate"}}));
    world.push(pushed(1));
    let (desk, deployment) = (Desk::new(&server).await, world.plan().workload.unwrap().deployment);
    let mut object = deployment.whole().into_owned();
    object["spec"]["strategy"] = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}});
    // Refused as the API server does it: the two exclude each other.
    server.refuse("deployments", 422, 0..1);
    let mut applied = Applied::default();
    desk.applier().settle(&deployment, &live(&deployment, object), &mut applied).await.unwrap();
    let (.., replaced) = &server.writes()[1];
    assert_eq!(replaced["spec"], json!({"strategy": {"type": "Recreate", "rollingUpdate": null}}));
    assert_eq!((applied.notes.len(), &applied.obstacles[..]), (1, &[][..]));
}

#[tokio::test]
async fn a_change_that_the_api_server_does_not_let_us_put_back_is_told_in_its_words_however_often_it_is_tried() {
    let server = Server::default();
    let (desk, service) = (Desk::new(&server).await, first_version().service);
    let mut object = service.whole().into_owned();
    object["spec"]["selector"]["x"] = json!("y");
    desk.ledger.note(&service, &live(&service, object.clone()), Outcome::Holds);
    object["spec"]["type"] = json!("NodePort");
    server.refuse("services", 422, 0..9);
    object["metadata"]["uid"] = json!("made");
    object["metadata"]["resourceVersion"] = json!("2");
    let changed = Live::of(service.kind, serde_json::from_value(object).unwrap());
    for _ in 0..5 {
        let mut applied = Applied::default();
        let error = desk.applier().settle(&service, &changed, &mut applied).await.unwrap_err();
        assert!(error.is_verdict());
        assert_eq!((&applied.notes[..], &applied.obstacles[..]), (&[][..], &[][..]));
    }
}
