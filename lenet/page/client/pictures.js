// Pictures: chosen, dropped, pasted, or taken by the camera.

import { byId } from "./dom.js";

export function watchPage(take, say) {
  byId("open").onclick = () => byId("file").click();
  byId("file").onchange = ({ target }) => {
    if (target.files[0]) take(target.files[0]);
    target.value = "";
  };
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault(); // the browser would leave the page for it, and lose the drawing
    if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
    else say("That is not a file; expected an image file.");
  });
  addEventListener("paste", (event) => {
    const [file] = event.clipboardData.files;
    if (file) take(file);
  });
}

export function watchCamera(take, say) {
  const dialog = byId("still"), video = byId("video");
  // A browser shows a camera only to pages of this machine, or over HTTPS.
  if (!navigator.mediaDevices?.getUserMedia || !dialog.showModal) return;
  byId("camera").hidden = false;
  byId("camera").onclick = async () => {
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({
        video: { facingMode: "environment" } });
      dialog.showModal();
    } catch (error) {
      say(`The camera cannot be used: ${error.message}`);
    }
  };
  const end = () => {
    for (const track of video.srcObject?.getTracks() || []) track.stop();
    video.srcObject = null;
  };
  dialog.onclose = end;
  byId("leave").onclick = () => dialog.close();
  byId("take").onclick = () => {
    const canvas = document.createElement("canvas");
    // The middle of the picture, as a square.
    const side = Math.min(video.videoWidth, video.videoHeight);
    canvas.width = canvas.height = Math.min(side, 1024);
    canvas.getContext("2d").drawImage(
      video, (video.videoWidth - side) / 2, (video.videoHeight - side) / 2, side, side,
      0, 0, canvas.width, canvas.height);
    if (side) canvas.toBlob(take, "image/png");
    else say("The camera shows nothing yet; try again.");
    dialog.close();
  };
}
